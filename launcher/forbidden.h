/* Included last by every file of the opener: what must not come near a privilege does not compile. A test
 * compares the symbols that its objects really need with a list of allowed ones (the compiler turns one call
 * into another). */

#pragma GCC poison malloc calloc realloc free strdup alloca
#pragma GCC poison printf fprintf dprintf sprintf snprintf vsnprintf puts sscanf perror strerror
#pragma GCC poison getenv setenv secure_getenv setlocale gettext
#pragma GCC poison strtol strtoul atoi
#pragma GCC poison fopen opendir realpath getcwd
#pragma GCC poison getpwnam getpwuid getgrnam getgrgid getaddrinfo initgroups
#pragma GCC poison dlopen system popen execvp execlp posix_spawn pthread_create
#pragma GCC poison openlog syslog
