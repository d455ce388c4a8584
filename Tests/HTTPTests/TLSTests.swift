// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import Glibc
import HTTP
import Testing

@Suite("TLS")
struct TLSTests {
    /// A certificate for 127.0.0.1 signed by its own key, as two PEM files; removed by `remove()`.
    struct SelfSigned {
        let certificatePath: String
        let keyPath: String

        init() throws {
            let base = "/tmp/atoll-tls-\(UInt32.random(in: 0 ... .max))"
            certificatePath = base + ".crt"
            keyPath = base + ".key"
            guard let key = copenssl_generate_p256(), let certificate = X509_new() else { throw Failure() }
            defer {
                EVP_PKEY_free(key)
                X509_free(certificate)
            }
            ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1)
            X509_gmtime_adj(X509_getm_notBefore(certificate), 0)
            X509_gmtime_adj(X509_getm_notAfter(certificate), 3600)
            X509_set_pubkey(certificate, key)
            let name = X509_get_subject_name(certificate)
            X509_NAME_add_entry_by_txt(name, "CN", Int32(MBSTRING_FLAG | 1), "127.0.0.1", -1, -1, 0)
            X509_set_issuer_name(certificate, name)
            X509_sign(certificate, key, EVP_sha256())
            guard let certificateFile = fopen(certificatePath, "w"), let keyFile = fopen(keyPath, "w") else {
                throw Failure()
            }
            PEM_write_X509(certificateFile, certificate)
            PEM_write_PrivateKey(keyFile, key, nil, nil, 0, nil, nil)
            fclose(certificateFile)
            fclose(keyFile)
        }

        func remove() {
            unlink(certificatePath)
            unlink(keyPath)
        }
    }
    struct Failure: Error {}

    /// A blocking TLS client over a raw one.
    final class Client {
        private let raw: RawClient
        private let context: OpaquePointer
        private let session: OpaquePointer

        init(port: UInt16) throws {
            raw = try RawClient(port: port)
            guard let context = SSL_CTX_new(TLS_client_method()), let session = SSL_new(context) else {
                throw Failure()
            }
            self.context = context
            self.session = session
            SSL_set_fd(session, raw.descriptor)
            guard SSL_connect(session) == 1 else { throw Failure() }
        }

        deinit {
            SSL_free(session)
            SSL_CTX_free(context)
        }

        func send(_ text: String) throws {
            let bytes = Array(text.utf8)
            guard SSL_write(session, bytes, Int32(bytes.count)) == Int32(bytes.count) else { throw Failure() }
        }

        /// Reads until `count` bytes have come or the server has closed.
        func read(atLeast count: Int) -> String {
            var received: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while received.count < count {
                let count = SSL_read(session, &buffer, Int32(buffer.count))
                guard count > 0 else { break }
                received += buffer[..<Int(count)]
            }
            return String(decoding: received, as: UTF8.self)
        }
    }

    func configuration(_ files: SelfSigned) -> HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration()
        configuration.tls = TLSConfiguration(certificatePath: files.certificatePath, keyPath: files.keyPath)
        return configuration
    }

    @Test func servesRequestsBodiesAndFilesOverTLS() async throws {
        let files = try SelfSigned()
        defer { files.remove() }
        let certificate = files.certificatePath
        var router = HTTPServerTests.router()
        router.on(.get, "/secure") { .text($0.isSecure ? "yes" : "no") }
        router.on(.get, "/file") { _ in HTTPResponse(.ok, body: .file(FileSlice(try OpenFile(path: certificate)))) }
        try await withServer(configuration(files), router) { port, _ in
            let client = try Client(port: port)
            try client.send("GET /secure HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(client.read(atLeast: 1).hasSuffix("\r\n\r\nyes"))
            let body = String(repeating: "0123456789", count: 100_000)
            try client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body)
            #expect(client.read(atLeast: body.utf8.count + 100).hasSuffix(body))
            try client.send("GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(client.read(atLeast: .max).hasSuffix("-----END CERTIFICATE-----\n"))
        }
    }

    @Test func plainRequestsToATLSPortEndTheConnection() async throws {
        let files = try SelfSigned()
        defer { files.remove() }
        try await withServer(configuration(files), HTTPServerTests.router()) { port, _ in
            let client = try RawClient(port: port)
            try client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(client.isClosedByServer())
        }
    }

    @Test func unusableFilesAreNamed() async throws {
        let files = try SelfSigned()
        defer { files.remove() }
        var wrong = configuration(files)
        wrong.tls?.keyPath = "/nonexistent.key"
        await #expect(throws: TLSError.self) { try await withServer(wrong, Router()) { _, _ in } }
        wrong.tls = TLSConfiguration(certificatePath: files.keyPath, keyPath: files.keyPath)
        await #expect(throws: TLSError.self) { try await withServer(wrong, Router()) { _, _ in } }
    }
}
