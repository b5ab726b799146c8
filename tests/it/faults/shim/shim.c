/* A bad disk, a bad clock and a kill at a chosen moment for a program that does not know of it. It is preloaded into drctl by
 * tests/it/faults/shim.rs, which says what each variable means. Only what happens under DRCTL_SHIM_FOLDER counts.
 *
 * Interposed: open, open64, openat, openat64, mkdir, write, writev, ftruncate, ftruncate64, fsync, fdatasync, rename, link,
 * linkat, unlink, unlinkat, clock_gettime, gettimeofday, time. The crate tempfile renames with a direct system call (by rustix),
 * which no symbol can replace: a seccomp filter turns that call into a signal, whose handler calls do_rename.
 *
 * The shim itself works with syscall(), so that it never counts its own operations. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PATH 4096

static char folder[PATH];
static size_t folder_length;
static char here[PATH];
static const char *log_path, *since;
static int counts;
static long kill_after, stop_after, full_at, full_from, full_short, eio_at, readonly_from, clock_after, clock_shift;
static long durable, writes, syncs, changes, clocks;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

static long next(long *counter) { return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST); }

static void say(const char *line, int length) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || syscall(SYS_write, fd, line, length) != length) {
        abort();
    }
    syscall(SYS_close, fd);
}

/* The name below the folder ("." for the folder itself), or null if it is elsewhere or nothing counts yet. */
static const char *below(const char *path) {
    if (strncmp(path, folder, folder_length) != 0 || (path[folder_length] != 0 && path[folder_length] != '/')) {
        return NULL;
    }
    const char *name = path[folder_length] ? path + folder_length + 1 : ".";
    if (!counts && strstr(name, since)) {
        counts = 1;
    }
    return counts ? name : NULL;
}

static const char *at_path(const char *path, char *into) {
    if (!folder_length || !path) {
        return NULL;
    }
    if (path[0] == '/') {
        snprintf(into, PATH, "%s", path);
    } else {
        snprintf(into, PATH, "%.2000s/%.2000s", here, path);
    }
    return below(into);
}

static const char *at_fd(int fd, char *into) {
    char link[64];
    if (!folder_length) {
        return NULL;
    }
    int error = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, into, PATH - 1);
    errno = error;
    if (length < 0) {
        return NULL;
    }
    into[length] = 0;
    return below(into);
}

static int exists(const char *path) { return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0; }

/* Before a change: whether the folder has become read-only. */
static int readonly(void) {
    long n = next(&changes);
    if (readonly_from && n >= readonly_from) {
        errno = EROFS;
        return 1;
    }
    return 0;
}

/* After a success that outlives the process. */
static void lasting(const char *what, const char *name) {
    int error = errno;
    long n = next(&durable);
    if (log_path) {
        char line[PATH + 64];
        say(line, snprintf(line, sizeof line, "%ld %s %s\n", n, what, name));
    }
    if (n == kill_after) {
        syscall(SYS_kill, getpid(), SIGKILL);
    }
    if (n == stop_after) {
        syscall(SYS_kill, getpid(), SIGSTOP);
    }
    errno = error;
}

#define REAL(result, name, ...)                                                                                        \
    static result (*real)(__VA_ARGS__);                                                                                \
    if (!real) {                                                                                                       \
        real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name);                                                         \
    }

static int do_open(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH];
    const char *name = NULL;
    int is_new = 0;
    if (at == AT_FDCWD && ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)))) {
        name = at_path(path, whole);
    }
    if (name) {
        is_new = (flags & O_CREAT) && !exists(whole);
        if (readonly()) {
            return -1;
        }
    }
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (name && fd >= 0 && (is_new || (flags & O_TRUNC))) {
        lasting(is_new ? "create" : "truncate", name);
    }
    return fd;
}

#define OPEN_MODE                                                                                                      \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(at, path, flags | O_LARGEFILE, mode);
}

int mkdir(const char *path, mode_t mode) {
    char whole[PATH];
    const char *name = at_path(path, whole);
    /* As in the kernel: an existing file is reported first. */
    if (name && !exists(path) && readonly()) {
        return -1;
    }
    int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (name && result == 0) {
        lasting("mkdir", name);
    }
    return result;
}

/* How much of a write the disk accepts: all of it, the first half, or nothing (then errno is set). */
static ssize_t room(size_t length) {
    if (readonly()) {
        return -1;
    }
    long n = next(&writes);
    long first = full_from ? full_from : full_at;
    if (first && full_short && n == first && length > 1) {
        return (ssize_t)(length / 2);
    }
    long at = full_short ? full_at + 1 : full_at;
    if ((full_from && n >= full_from) || (full_at && n == at)) {
        errno = ENOSPC;
        return -1;
    }
    return (ssize_t)length;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    char whole[PATH];
    REAL(ssize_t, "write", int, const void *, size_t)
    if (at_fd(fd, whole)) {
        ssize_t fits = room(length);
        if (fits < 0) {
            return -1;
        }
        length = (size_t)fits;
    }
    return real(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char whole[PATH];
    REAL(ssize_t, "writev", int, const struct iovec *, int)
    if (at_fd(fd, whole)) {
        size_t length = 0;
        for (int part = 0; part < count; part++) {
            length += parts[part].iov_len;
        }
        ssize_t fits = room(length);
        if (fits < 0) {
            return -1;
        }
        if ((size_t)fits < length) {
            size_t only = parts[0].iov_len < (size_t)fits ? parts[0].iov_len : (size_t)fits;
            return syscall(SYS_write, fd, parts[0].iov_base, only);
        }
    }
    return real(fd, parts, count);
}

static int do_truncate(int fd, off64_t length) {
    char whole[PATH];
    if (at_fd(fd, whole) && readonly()) {
        return -1;
    }
    return (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate(int fd, off_t length) { return do_truncate(fd, length); }

int ftruncate64(int fd, off64_t length) { return do_truncate(fd, length); }

static int do_sync(int fd, long call, const char *what) {
    char whole[PATH];
    const char *name = at_fd(fd, whole);
    if (name && next(&syncs) == eio_at) {
        errno = EIO;
        return -1;
    }
    int result = (int)syscall(call, fd);
    if (name && result == 0) {
        lasting(what, name);
    }
    return result;
}

int fsync(int fd) { return do_sync(fd, SYS_fsync, "fsync"); }

int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync, "fdatasync"); }

static int do_rename(int from_at, const char *from, int to_at, const char *to) {
    char whole[PATH];
    const char *name = at_path(to, whole);
    if (name && readonly()) {
        return -1;
    }
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
    if (name && result == 0) {
        lasting("rename", name);
    }
    return result;
}

int rename(const char *from, const char *to) { return do_rename(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    char whole[PATH];
    const char *name = at_path(to, whole);
    /* As in the kernel: a missing file is reported first. */
    if (name && (from_at != AT_FDCWD || exists(from)) && readonly()) {
        return -1;
    }
    int result = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
    if (name && result == 0) {
        lasting("link", name);
    }
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char *path, int flags) {
    char whole[PATH];
    const char *name = at == AT_FDCWD ? at_path(path, whole) : NULL;
    if (name && readonly()) {
        return -1;
    }
    int result = (int)syscall(SYS_unlinkat, at, path, flags);
    if (name && result == 0) {
        lasting("unlink", name);
    }
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

static long shift(void) {
    long n = next(&clocks);
    return n > clock_after ? clock_shift : 0;
}

/* The monotonic clock cannot be set, so it does not jump. */
int clock_gettime(clockid_t clock, struct timespec *at) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *)
    int result = real(clock, at);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        at->tv_sec += shift();
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) {
        *into = now.tv_sec;
    }
    return now.tv_sec;
}

/* renameat, called without libc: the result is put where the system call would have put it. renameat2 is not filtered. */
static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    int error = errno;
    ucontext_t *registers = context;
#if defined(__x86_64__)
    greg_t *r = registers->uc_mcontext.gregs;
    int result = do_rename((int)r[REG_RDI], (const char *)r[REG_RSI], (int)r[REG_RDX], (const char *)r[REG_R10]);
    r[REG_RAX] = result == 0 ? 0 : -errno;
#elif defined(__aarch64__)
    __u64 *r = registers->uc_mcontext.regs;
    int result = do_rename((int)r[0], (const char *)r[1], (int)r[2], (const char *)r[3]);
    r[0] = result == 0 ? 0 : (__u64)-errno;
#else
#error "add where this machine keeps the arguments of a system call"
#endif
    errno = error;
}

static void trap_renameat(void) {
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        fprintf(stderr, "the shim cannot filter system calls: %s\n", strerror(errno));
        _exit(97);
    }
}

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("DRCTL_SHIM_FOLDER");
    const char *clock = getenv("DRCTL_SHIM_CLOCK");
    log_path = getenv("DRCTL_SHIM_LOG");
    since = getenv("DRCTL_SHIM_SINCE");
    counts = !since;
    kill_after = number("DRCTL_SHIM_KILL_AFTER");
    stop_after = number("DRCTL_SHIM_STOP_AFTER");
    full_at = number("DRCTL_SHIM_FULL_AT");
    full_from = number("DRCTL_SHIM_FULL_FROM");
    full_short = number("DRCTL_SHIM_SHORT");
    eio_at = number("DRCTL_SHIM_EIO_AT");
    readonly_from = number("DRCTL_SHIM_READONLY_FROM");
    if (clock && sscanf(clock, "%ld:%ld", &clock_after, &clock_shift) != 2) {
        fprintf(stderr, "DRCTL_SHIM_CLOCK is <after-calls>:<seconds>, not %s\n", clock);
        _exit(97);
    }
    if (given && getcwd(here, sizeof here)) {
        snprintf(folder, sizeof folder, "%s", given);
        folder_length = strlen(folder);
        trap_renameat();
    }
}

/* The totals of an undisturbed run: how many points there are to disturb. */
__attribute__((destructor)) static void end(void) {
    if (log_path && folder_length) {
        char line[256];
        say(line, snprintf(line, sizeof line, "total durable=%ld writes=%ld syncs=%ld changes=%ld clocks=%ld\n", durable,
                           writes, syncs, changes, clocks));
    }
}
