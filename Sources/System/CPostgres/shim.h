// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <openssl/ssl.h>
#include <postgresql/libpq-fe.h>

/// Bytes that OpenSSL has decrypted and libpq has not read: no readiness of the socket tells of them.
static inline int cpostgres_tls_pending(PGconn *connection) {
    SSL *ssl = PQsslStruct(connection, "OpenSSL");
    return ssl ? SSL_pending(ssl) : 0;
}
