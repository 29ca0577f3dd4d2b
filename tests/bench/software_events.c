/* LD_PRELOAD for samply, which only asks for hardware events: where the machine has none (most virtual ones),
 * it is given the task clock that everybody else in the benchmark samples. */

#include <dlfcn.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <sys/syscall.h>

long
syscall(long number, ...)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	struct perf_event_attr *attributes;
	long arguments[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	attributes = (struct perf_event_attr *)arguments[0]; /* NOLINT */
	if (number == SYS_perf_event_open && attributes->type == PERF_TYPE_HARDWARE) {
		attributes->type = PERF_TYPE_SOFTWARE;
		attributes->config = PERF_COUNT_SW_TASK_CLOCK;
	}
	return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
		    arguments[5]);
}
