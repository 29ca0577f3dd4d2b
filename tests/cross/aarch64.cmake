# Builds for arm64 on another machine, with the libraries that sysroot.py left in DDPROF_SYSROOT and the
# machine's own tools.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES DDPROF_SYSROOT)
set(CMAKE_SYSROOT ${DDPROF_SYSROOT})
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${DDPROF_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${DDPROF_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${DDPROF_SYSROOT}/usr/share/pkgconfig)
