/* A wall clock of its own for one daemon: seconds in a shared file are added to CLOCK_REALTIME, all other clocks are as they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset_s;

__attribute__((constructor)) static void share(void)
{
    int file = open(getenv("WALL_CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
    void *page = mmap(0, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
    if (file < 0 || page == MAP_FAILED)
        abort();
    offset_s = page;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    long failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && clock == CLOCK_REALTIME)
        time->tv_sec += *offset_s;
    return failed;
}
