// SPDX-License-Identifier: Apache-2.0
// What Glibc's module map leaves out or exports as macros that Swift cannot see. No _GNU_SOURCE here: with it, the types of
// this module would differ from those of Swift's Glibc module. What needs it stands in CLinux.c.
#pragma once
#include "CLinuxProcess.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// The loop whose thread this is. A thread-local in C, because Swift has none for a stored global.
extern _Thread_local void *clinux_loop;
static inline void *clinux_current_loop(void) { return clinux_loop; }
static inline void clinux_set_current_loop(void *loop) { clinux_loop = loop; }

static inline int clinux_errno(void) { return errno; }
static inline int clinux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}
static inline int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}
static inline int clinux_epoll_remove(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); }
static const uint32_t clinux_epoll_in = EPOLLIN;
static const uint32_t clinux_epoll_out = EPOLLOUT;
static const uint32_t clinux_epoll_error = EPOLLERR;
static const uint32_t clinux_epoll_hangup = EPOLLHUP;
static const uint32_t clinux_epoll_peer_closed = EPOLLRDHUP;
static const uint32_t clinux_epoll_edge = EPOLLET;
static inline uint64_t clinux_event_data(const struct epoll_event *event) { return event->data.u64; }
static inline uint32_t clinux_event_mask(const struct epoll_event *event) { return event->events; }

static inline int clinux_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
// accept4: a non-blocking, close-on-exec connection, or -1 with errno.
int clinux_accept(int fd, struct sockaddr_storage *address, socklen_t *length);
// Names the calling thread; at most 15 bytes.
void clinux_name_thread(const char *name);
static inline long clinux_send(int fd, const void *bytes, size_t count) { return send(fd, bytes, count, MSG_NOSIGNAL); }
static inline long clinux_send_more(int fd, const void *bytes, size_t count) {
    return send(fd, bytes, count, MSG_NOSIGNAL | MSG_MORE);
}

static inline uint64_t clinux_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

// Blocks all signals in this thread, so that the kernel delivers them to another.
void clinux_block_signals(void);
// Blocks the signals in this thread (and those it starts later) and returns a descriptor that delivers them.
int clinux_signal_descriptor(const int *signals, size_t count);
// The next signal's number, or 0 when none waits.
int clinux_next_signal(int descriptor);

// A listening TCP socket on a numeric address, port 0 for any. Returns -errno on failure.
int clinux_listen(const char *host, uint16_t port, int backlog, int reuse_port);
// A listening Unix-domain socket with this file mode, in place of one that was left there. Returns -errno on failure.
int clinux_listen_at_path(const char *path, mode_t mode, int backlog);
// Looks a host's name up (it blocks) and writes its first numeric address; `family` is AF_UNSPEC, AF_INET or AF_INET6.
// Returns 0, or getaddrinfo's code.
int clinux_numeric_host(const char *name, int family, char *text, size_t size);
// The port a socket is bound to, or -errno.
int clinux_bound_port(int fd);
static inline int clinux_no_delay(int fd) {
    int on = 1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
// Writes the numeric peer address ("127.0.0.1", "::1") into `text`, which has room for `size` bytes.
void clinux_peer_address(const struct sockaddr_storage *address, char *text, size_t size);
