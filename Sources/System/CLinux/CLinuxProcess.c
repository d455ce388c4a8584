// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinuxProcess.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Everything from here to execve runs in the forked child of a process with many threads: async-signal-safe calls only.
static int redirect(int source, int target) {
    if (source < 0) {
        int null = open("/dev/null", O_RDWR);
        if (null < 0) return -1;
        if (null == target) return 0;
        int result = dup2(null, target);
        close(null);
        return result;
    }
    return dup2(source, target);
}

static int become(const struct clinux_spawn_request *request, pid_t parent, int *step) {
    *step = CLINUX_SPAWN_STREAMS;
    // Copies above 2 first, so that no redirection overwrites a descriptor that a later one still needs.
    int streams[3] = {request->input, request->output, request->errors};
    for (int i = 0; i < 3; i++)
        if (streams[i] >= 0 && (streams[i] = fcntl(streams[i], F_DUPFD_CLOEXEC, 3)) < 0) return errno;
    for (int i = 0; i < 3; i++)
        if (redirect(streams[i], i) < 0) return errno;
    if (request->new_session) setsid();

    *step = CLINUX_SPAWN_USER;
    if (request->change_user) {
        if (setgroups(0, NULL) < 0) return errno;
        if (setresgid(request->group, request->group, request->group) < 0) return errno;
        if (setresuid(request->user, request->user, request->user) < 0) return errno;
    }

    // A change of user clears the death signal, so it is set after that.
    *step = CLINUX_SPAWN_DEATH_SIGNAL;
    if (request->death_signal) {
        if (prctl(PR_SET_PDEATHSIG, request->death_signal) < 0) return errno;
        if (getppid() != parent) return ESRCH;  // the parent died before the line above
    }

    *step = CLINUX_SPAWN_FOLDER;
    if (request->folder && chdir(request->folder) < 0) return errno;

    *step = CLINUX_SPAWN_PROGRAM;
    syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
    // A handler of the parent means nothing after exec, and an ignored signal would stay ignored.
    struct sigaction usual = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &usual, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(request->program, request->arguments, request->environment);
    return errno;
}

pid_t clinux_spawn(const struct clinux_spawn_request *request, int *step) {
    *step = CLINUX_SPAWN_FORK;
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) return -errno;

    // With all signals blocked, no handler of the parent can run in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        int failure[2];
        failure[1] = become(request, parent, &failure[0]);
        ssize_t written = write(report[1], failure, sizeof failure);
        (void)written;
        _exit(127);
    }
    int code = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (child < 0) {
        close(report[0]);
        return -code;
    }

    // The child's end closes with a successful exec, so this read ends either way.
    int failure[2];
    ssize_t count;
    do count = read(report[0], failure, sizeof failure);
    while (count < 0 && errno == EINTR);
    close(report[0]);
    if (count != (ssize_t)sizeof failure) return child;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    *step = failure[0];
    return -failure[1];
}

int clinux_process_descriptor(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int clinux_process_signal(int descriptor, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, descriptor, signal, NULL, 0);
}

int clinux_process_reap(pid_t process, int *status) {
    pid_t result;
    do result = waitpid(process, status, WNOHANG);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -1 : result == process;
}

int clinux_exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
int clinux_exit_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

int clinux_pipe(int descriptors[2]) { return pipe2(descriptors, O_CLOEXEC); }

int clinux_memory_file(const void *bytes, size_t count) {
    int descriptor = memfd_create("input", MFD_CLOEXEC);
    if (descriptor < 0) return -errno;
    for (size_t done = 0; done < count;) {
        ssize_t written = pwrite(descriptor, (const char *)bytes + done, count - done, (off_t)done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            int code = errno;
            close(descriptor);
            return -code;
        }
        done += (size_t)written;
    }
    return descriptor;
}

int clinux_set_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

int clinux_lock_file(const char *path) {
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) return -errno;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
    int code = errno;
    close(descriptor);
    return -code;
}

static int bound_socket(const char *host, unsigned short port) {
    struct sockaddr_storage storage = {0};
    socklen_t length;
    struct sockaddr_in *four = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        length = sizeof *four;
    } else if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        length = sizeof *six;
    } else {
        return -EINVAL;
    }
    int descriptor = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int on = 1;
    // As PostgreSQL does: connections in TIME_WAIT of a server that has ended are no obstacle.
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, (struct sockaddr *)&storage, length) == 0) return descriptor;
    int code = errno;
    close(descriptor);
    return -code;
}

int clinux_probe_port(const char *host, unsigned short port) {
    int descriptor = bound_socket(host, port);
    if (descriptor < 0) return descriptor;
    close(descriptor);
    return 0;
}
