/*
 * http_client.h - a client for tests of the server: requests over loopback, whole or piece by piece, and replies with status, headers
 * and body (chunks joined).
 */
#ifndef TESTS_SUPPORT_HTTP_CLIENT_H
#define TESTS_SUPPORT_HTTP_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_reply {
    int status;    /* 0: the line was cut */
    char *headers; /* with NUL, from the status line to the empty line */
    char *body;    /* [size] and a NUL */
    size_t size;
    bool whole; /* it came to its end */
};

static inline int http_connect(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void http_send(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

        if (n <= 0) return; /* the reply says why */
        bytes += n;
        size -= (size_t)n;
    }
}

/* headers: "Name: value\r\n" lines; a Host is added unless there is one, and the length of body (NULL: none). */
static inline void http_ask(int fd, const char *method, const char *path, const char *headers,
                            const char *body)
{
    char head[4096];
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\n%s%s", method, path, headers,
                     strstr(headers, "Host:") != NULL ? "" : "Host: localhost\r\n");

    if (body != NULL)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n", strlen(body));
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    assert_true(n < (int)sizeof head);
    http_send(fd, head, (size_t)n);
    if (body != NULL) http_send(fd, body, strlen(body));
}

/* All that comes until the other side closes. */
static inline char *http_read_all(int fd, size_t *size)
{
    size_t capacity = 1 << 16;
    char *bytes = malloc(capacity);
    ssize_t n;

    *size = 0;
    while ((n = recv(fd, bytes + *size, capacity - *size - 1, 0)) > 0) {
        *size += (size_t)n;
        if (capacity - *size < 4096) bytes = realloc(bytes, capacity *= 2);
    }
    bytes[*size] = '\0';
    return bytes;
}

/* Chunks joined, in place; false if the last one is missing. */
static inline bool http_join_chunks(char *body, size_t *size)
{
    char *from = body, *to = body, *end = body + *size;
    bool whole = false;

    while (from < end) {
        char *line_end;
        size_t n = strtoul(from, &line_end, 16);

        whole = n == 0;
        from = line_end + 2;
        if (n == 0 || from + n > end) break;
        memmove(to, from, n);
        to += n;
        from += n + 2;
    }
    *to = '\0';
    *size = (size_t)(to - body);
    return whole;
}

/* The reply, which is to be freed; the connection is closed ("Connection: close" was asked for, or it is an error). */
static inline struct http_reply http_take(int fd)
{
    struct http_reply r = { 0 };
    size_t size;
    char *bytes = http_read_all(fd, &size), *body = strstr(bytes, "\r\n\r\n");
    const char *length;

    close(fd);
    if (body == NULL || strncmp(bytes, "HTTP/1.", 7) != 0) {
        r.headers = bytes;
        r.body = strdup("");
        return r;
    }
    r.status = atoi(bytes + 9);
    r.headers = strndup(bytes, (size_t)(body - bytes) + 2);
    r.size = size - (size_t)(body + 4 - bytes);
    r.body = malloc(r.size + 1);
    memcpy(r.body, body + 4, r.size + 1);
    free(bytes);
    length = strcasestr(r.headers, "Content-Length:");
    if (strcasestr(r.headers, "Transfer-Encoding: chunked") != NULL)
        r.whole = http_join_chunks(r.body, &r.size);
    else
        r.whole = length != NULL && strtoul(length + 15, NULL, 10) == r.size;
    return r;
}

static inline void http_free(struct http_reply *r)
{
    free(r->headers);
    free(r->body);
    *r = (struct http_reply){ 0 };
}

/* headers may be ""; body NULL: none */
static inline struct http_reply http(int port, const char *method, const char *path, const char *headers,
                                     const char *body)
{
    int fd = http_connect(port);
    char all[2048];

    snprintf(all, sizeof all, "Connection: close\r\n%s", headers);
    http_ask(fd, method, path, all, body);
    return http_take(fd);
}

static inline bool http_has(const struct http_reply *r, const char *header)
{
    return strcasestr(r->headers, header) != NULL;
}

#endif
