// SPDX-License-Identifier: Apache-2.0
internal import COpenSSL
internal import Glibc

/// Certificate and key of a server, loaded once and shared by its connections.
// @unchecked Sendable: OpenSSL counts references to an SSL_CTX atomically, and nothing changes it after `init`.
final class TLSContext: @unchecked Sendable {
    fileprivate let handle: OpaquePointer

    /// TLS 1.2 and later with OpenSSL's default ciphers; ALPN answers `http/1.1`.
    ///
    /// - Throws: ``TLSError`` naming the file that cannot be used.
    init(_ configuration: TLSConfiguration) throws {
        guard let context = SSL_CTX_new(TLS_server_method()) else { throw TLSError("TLS cannot be initialised") }
        handle = context
        // SSL_CTX_set_min_proto_version and SSL_CTX_set_mode are macros over SSL_CTX_ctrl.
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        let modes = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS
        SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(modes), nil)
        SSL_CTX_set_options(context, copenssl_no_renegotiation | copenssl_ignore_unexpected_eof)
        guard SSL_CTX_use_certificate_chain_file(context, configuration.certificatePath) == 1 else {
            throw TLSError("the certificate in \(configuration.certificatePath) cannot be used")
        }
        guard SSL_CTX_use_PrivateKey_file(context, configuration.keyPath, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_check_private_key(context) == 1
        else { throw TLSError("the key in \(configuration.keyPath) does not fit the certificate") }
        SSL_CTX_set_alpn_select_cb(context, selectHTTP11, nil)
    }

    deinit { SSL_CTX_free(handle) }
}

/// Why a TLS server cannot start.
package struct TLSError: Error, Sendable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

/// Picks `http/1.1` from what the client offers, and nothing when it does not offer it (RFC 7301).
private func selectHTTP11(
    _ session: OpaquePointer?, _ output: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ outputLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32,
    _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let offered, let output, let outputLength else { return SSL_TLSEXT_ERR_NOACK }
    var position = 0
    while position < Int(offeredLength) {
        let length = Int(offered[position])
        guard position + 1 + length <= Int(offeredLength) else { break }
        if length == 8, memcmp(offered + position + 1, "http/1.1", 8) == 0 {
            output.pointee = offered + position + 1
            outputLength.pointee = 8
            return SSL_TLSEXT_ERR_OK
        }
        position += 1 + length
    }
    return SSL_TLSEXT_ERR_NOACK
}

/// One TLS connection over a non-blocking socket. Loop-confined.
final class TLSSession {
    private let handle: OpaquePointer

    init?(_ context: TLSContext, descriptor: Int32) {
        guard let session = SSL_new(context.handle) else { return nil }
        guard SSL_set_fd(session, descriptor) == 1 else {
            SSL_free(session)
            return nil
        }
        SSL_set_accept_state(session)
        handle = session
    }

    deinit { SSL_free(handle) }

    func read(into room: UnsafeMutableRawBufferPointer) -> Socket.IOResult {
        ERR_clear_error()
        var count = 0
        let code = SSL_read_ex(handle, room.baseAddress, room.count, &count)
        return code == 1 ? .bytes(count) : result(of: code)
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> Socket.IOResult {
        ERR_clear_error()
        var count = 0
        let code = SSL_write_ex(handle, bytes.baseAddress, bytes.count, &count)
        return code == 1 ? .bytes(count) : result(of: code)
    }

    /// Tells the peer that nothing follows; the answer is not awaited.
    func shutdown() {
        ERR_clear_error()
        if SSL_is_init_finished(handle) == 1 { SSL_shutdown(handle) }
    }

    private func result(of code: Int32) -> Socket.IOResult {
        switch SSL_get_error(handle, code) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: .wouldBlock
        case SSL_ERROR_ZERO_RETURN: .closed
        default: .failed
        }
    }
}
