// SPDX-License-Identifier: Apache-2.0
internal import CCurl
internal import Glibc
internal import HTTP
internal import Primitives

/// One request or one mail under way, and the handle of libcurl's that carries it.
// @unchecked Sendable: made by one task, then touched on the loop of its set alone.
final class Transfer: @unchecked Sendable {
    let handle: UnsafeMutableRawPointer
    var continuation: UnsafeContinuation<Result<HTTPClientResponse, HTTPClientError>, Never>?

    /// Lists that libcurl reads as long as the transfer runs.
    private var lists: [UnsafeMutablePointer<curl_slist>] = []
    private let errorText: UnsafeMutablePointer<CChar>
    private let isMail: Bool

    // What goes out, for a mail.
    private let outgoing: [UInt8]
    private var sentBytes = 0

    // What comes in.
    private var headers = HTTPHeaders()
    private var headerBytes = 0
    private let maxHeaderBytes: Int
    private var body: [UInt8] = []
    private let maxBodyBytes: Int
    /// Why a callback has ended the transfer: more than libcurl can say.
    private var refusal: HTTPClientError?
    private var refusesPrivateAddresses = false

    private init(outgoing: [UInt8], isMail: Bool, maxBodyBytes: Int, maxHeaderBytes: Int) throws(HTTPClientError) {
        guard let handle = curl_easy_init() else { throw HTTPClientError(.misuse, "libcurl is out of memory") }
        self.handle = handle
        self.outgoing = outgoing
        self.isMail = isMail
        self.maxBodyBytes = maxBodyBytes
        self.maxHeaderBytes = maxHeaderBytes
        errorText = .allocate(capacity: Int(ccurl_error_size))
        errorText.initialize(repeating: 0, count: Int(ccurl_error_size))
    }

    deinit {
        curl_easy_cleanup(handle)
        for list in lists { curl_slist_free_all(list) }
        errorText.deallocate()
    }

    // MARK: What is asked for

    convenience init(_ request: HTTPClientRequest, _ configuration: HTTPClientConfiguration) throws(HTTPClientError) {
        try self.init(
            outgoing: [], isMail: false, maxBodyBytes: request.maxResponseBytes,
            maxHeaderBytes: configuration.maxResponseHeaderBytes)
        // A proxy may well be at a private address, and what lies behind it is not seen here.
        refusesPrivateAddresses =
            configuration.proxy == nil
            && request.refusesPrivateAddresses ?? configuration.refusesPrivateAddresses
        try setCommon(
            configuration, schemes: "http,https", connectTimeout: request.connectTimeout, timeout: request.timeout)
        try set(CURLOPT_URL, request.url)
        try set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        let mayRedirect = request.maxRedirects > 0 && (request.method == .get || request.method == .head)
        try set(CURLOPT_FOLLOWLOCATION, mayRedirect ? 1 : 0)
        try set(CURLOPT_MAXREDIRS, request.maxRedirects)
        try set(CURLOPT_REDIR_PROTOCOLS_STR, request.url.hasPrefix("https:") ? "https" : "http,https")
        try setMethod(request)
        try setHeaders(request)
        ccurl_set_transfer_callback(handle, CURLOPT_HEADERFUNCTION) { bytes, _, count, transfer in
            guard let bytes, let transfer else { return 0 }
            let line = UnsafeRawBufferPointer(start: bytes, count: count)
            return Unmanaged<Transfer>.fromOpaque(transfer).takeUnretainedValue().receiveHeader(line)
        }
        ccurl_set_pointer(handle, CURLOPT_HEADERDATA, Unmanaged.passUnretained(self).toOpaque())
    }

    convenience init(
        mail message: [UInt8], from sender: String, to recipients: [String], through server: SMTPServer,
        _ configuration: HTTPClientConfiguration
    ) throws(HTTPClientError) {
        try self.init(
            outgoing: message, isMail: true, maxBodyBytes: 64 << 10,
            maxHeaderBytes: configuration.maxResponseHeaderBytes)
        refusesPrivateAddresses = configuration.refusesPrivateAddresses
        try setCommon(
            configuration, schemes: "smtp,smtps", connectTimeout: server.connectTimeout, timeout: server.timeout)
        for text in [server.host, server.clientName] where !text.utf8.allSatisfy(Self.isHostByte) || text.isEmpty {
            throw HTTPClientError(.invalidURL, "the mail server's name or the client's is no host name")
        }
        guard !recipients.isEmpty else { throw HTTPClientError(.invalidRequest, "a mail without a recipient") }
        for address in recipients + [sender] where !address.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) {
            throw HTTPClientError(.invalidRequest, "an address holds a character that no address has")
        }
        let scheme = server.security == .tls ? "smtps" : "smtp"
        let host = server.host.contains(":") ? "[\(server.host)]" : server.host
        try set(CURLOPT_URL, "\(scheme)://\(host):\(server.port)/\(server.clientName)")
        switch server.security {
        case .tls, .startTLS: try set(CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue))
        case .opportunistic: try set(CURLOPT_USE_SSL, Int(CURLUSESSL_TRY.rawValue))
        case .plain: try set(CURLOPT_USE_SSL, Int(CURLUSESSL_NONE.rawValue))
        }
        if let user = server.user, let password = server.password {
            try set(CURLOPT_USERNAME, user)
            try set(CURLOPT_PASSWORD, password.reveal())
        }
        try set(CURLOPT_MAIL_FROM, "<\(sender)>")
        setList(CURLOPT_MAIL_RCPT, recipients.map { "<\($0)>" })
        try set(CURLOPT_UPLOAD, 1)
        ccurl_set_size(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(message.count))
        ccurl_set_transfer_callback(handle, CURLOPT_READFUNCTION) { bytes, size, count, transfer in
            guard let bytes, let transfer else { return 0 }
            let room = UnsafeMutableRawBufferPointer(start: bytes, count: size * count)
            return Unmanaged<Transfer>.fromOpaque(transfer).takeUnretainedValue().give(room)
        }
        ccurl_set_pointer(handle, CURLOPT_READDATA, Unmanaged.passUnretained(self).toOpaque())
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: ":"):
            true
        default: false
        }
    }

    private func setCommon(
        _ configuration: HTTPClientConfiguration, schemes: String, connectTimeout: Duration, timeout: Duration
    ) throws(HTTPClientError) {
        let this = Unmanaged.passUnretained(self).toOpaque()
        ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        try set(CURLOPT_PROTOCOLS_STR, schemes)
        try set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        try set(CURLOPT_NOSIGNAL, 1)
        // Without it, giving up a look-up would wait for its thread, and the loop with it.
        try set(CURLOPT_QUICK_EXIT, 1)
        try set(CURLOPT_CONNECTTIMEOUT_MS, connectTimeout.wholeMilliseconds)
        try set(CURLOPT_TIMEOUT_MS, timeout.wholeMilliseconds)
        try set(CURLOPT_SSL_VERIFYPEER, 1)
        try set(CURLOPT_SSL_VERIFYHOST, 2)
        if let file = configuration.certificateAuthorityFile { try set(CURLOPT_CAINFO, file) }
        // The empty text turns off what the environment says.
        try set(CURLOPT_PROXY, isMail ? "" : configuration.proxy ?? "")
        ccurl_set_transfer_callback(handle, CURLOPT_WRITEFUNCTION) { bytes, _, count, transfer in
            guard let bytes, let transfer else { return 0 }
            let received = UnsafeRawBufferPointer(start: bytes, count: count)
            return Unmanaged<Transfer>.fromOpaque(transfer).takeUnretainedValue().receiveBody(received)
        }
        ccurl_set_pointer(handle, CURLOPT_WRITEDATA, this)
        ccurl_set_open_socket_callback(handle) { transfer, _, address in
            guard let transfer, let address else { return ccurl_socket_bad }
            return Unmanaged<Transfer>.fromOpaque(transfer).takeUnretainedValue().openSocket(address)
        }
        ccurl_set_pointer(handle, CURLOPT_OPENSOCKETDATA, this)
        guard refusesPrivateAddresses else { return }
        // A connection kept by another transfer is not opened again, so its address is looked at here.
        ccurl_set_before_request_callback(handle) { transfer, address, _, _, _ in
            guard let transfer, let address else { return CURL_PREREQFUNC_ABORT }
            let transferred = Unmanaged<Transfer>.fromOpaque(transfer).takeUnretainedValue()
            return transferred.mayUse(String(cString: address)) ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
        }
        ccurl_set_pointer(handle, CURLOPT_PREREQDATA, this)
    }

    private func setMethod(_ request: HTTPClientRequest) throws(HTTPClientError) {
        let method = request.method.rawValue
        guard !method.isEmpty, method.utf8.allSatisfy({ (0x41...0x5a).contains($0) }) else {
            throw HTTPClientError(.invalidRequest, "the method is no word of capital letters")
        }
        if request.method == .head {
            try set(CURLOPT_NOBODY, 1)
            return
        }
        if let body = request.body {
            ccurl_set_size(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
            let code = body.withUnsafeBytes { bytes -> CURLcode in
                // An empty array may lend no address, which libcurl takes for "read it by callback".
                guard let start = bytes.baseAddress else { return ccurl_set_text(handle, CURLOPT_COPYPOSTFIELDS, "") }
                return ccurl_set_bytes(handle, CURLOPT_COPYPOSTFIELDS, start)
            }
            guard code == CURLE_OK else { throw HTTPClientError(.misuse, "libcurl is out of memory") }
        }
        if request.method != .get || request.body != nil { try set(CURLOPT_CUSTOMREQUEST, method) }
    }

    private func setHeaders(_ request: HTTPClientRequest) throws(HTTPClientError) {
        var lines: [String] = []
        for (name, value) in request.headers.fields {
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ":") }),
                value.utf8.allSatisfy({ ($0 >= 0x20 || $0 == 0x09) && $0 != 0x7f })
            else { throw HTTPClientError(.invalidRequest, "a header that would end its line") }
            // libcurl's way to send a header without a value.
            lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        // What libcurl adds by itself: a type nobody named, and a round trip nobody asked for.
        if !request.headers.contains("content-type") { lines.append("Content-Type:") }
        lines.append("Expect:")
        if !request.headers.contains("user-agent") { lines.append("User-Agent: Atoll") }
        setList(CURLOPT_HTTPHEADER, lines)
    }

    private func set(_ option: CURLoption, _ value: Int) throws(HTTPClientError) {
        try check(ccurl_set_long(handle, option, value))
    }

    private func set(_ option: CURLoption, _ value: String) throws(HTTPClientError) {
        // libcurl would read the text up to the zero.
        guard !value.utf8.contains(0) else { throw HTTPClientError(.invalidRequest, "a text with a null character") }
        try check(ccurl_set_text(handle, option, value))
    }

    private func check(_ code: CURLcode) throws(HTTPClientError) {
        guard code == CURLE_OK else { throw HTTPClientError(.misuse, String(cString: curl_easy_strerror(code))) }
    }

    private func setList(_ option: CURLoption, _ lines: [String]) {
        var list: UnsafeMutablePointer<curl_slist>?
        for line in lines { list = curl_slist_append(list, line) ?? list }
        guard let list else { return }
        lists.append(list)
        ccurl_set_list(handle, option, list)
    }

    // MARK: Callbacks of libcurl

    private func receiveHeader(_ line: UnsafeRawBufferPointer) -> Int {
        headerBytes += line.count
        guard headerBytes <= maxHeaderBytes else {
            refusal = HTTPClientError(.bodyTooLarge, "the response's head is larger than \(maxHeaderBytes) bytes")
            return 0
        }
        if line.starts(with: "HTTP/".utf8) {
            // Another response: what came before was a redirect or an interim one.
            headers = HTTPHeaders()
            return line.count
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return line.count }
        let name = String(decoding: line[..<colon], as: UTF8.self)
        let value = line[(colon + 1)...].drop(while: Self.isBlank)
        let end = value.lastIndex { !Self.isBlank($0) }.map { $0 + 1 } ?? value.startIndex
        headers.append(name, String(decoding: value[..<end], as: UTF8.self))
        return line.count
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d || byte == 0x0a }

    private func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard body.count + bytes.count <= maxBodyBytes else {
            refusal = HTTPClientError(.bodyTooLarge, "the response is larger than \(maxBodyBytes) bytes")
            return 0
        }
        body.append(contentsOf: bytes)
        return bytes.count
    }

    private func give(_ room: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(room.count, outgoing.count - sentBytes)
        room.copyBytes(from: outgoing[sentBytes..<(sentBytes + count)])
        sentBytes += count
        return count
    }

    /// A socket that programs started meanwhile do not inherit, to an address that may be connected to.
    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> Int32 {
        let family = address.pointee.family
        if refusesPrivateAddresses {
            let isPublic = withUnsafePointer(to: &address.pointee.addr) { PublicAddress.contains($0) }
            guard isPublic else {
                refusal = HTTPClientError(.addressRefused, "the host is at a private address")
                return ccurl_socket_bad
            }
        }
        return socket(
            family, address.pointee.socktype | Int32(SOCK_CLOEXEC.rawValue), address.pointee.protocol)
    }

    private func mayUse(_ address: String) -> Bool {
        if PublicAddress.contains(address) {
            // A host may have several addresses, the refused ones before.
            refusal = nil
            return true
        }
        refusal = HTTPClientError(.addressRefused, "the host is at a private address")
        return false
    }

    // MARK: What came of it

    func result(_ code: CURLcode) -> Result<HTTPClientResponse, HTTPClientError> {
        let reply = ccurl_response_code(handle)
        if code == CURLE_OK {
            return .success(HTTPClientResponse(status: HTTPStatus(code: reply), headers: headers, body: body))
        }
        if let refusal { return .failure(refusal) }
        let text = String(cString: errorText)
        let message = text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
        return .failure(
            HTTPClientError(errorCode(code, reply), message, replyCode: isMail && reply > 0 ? reply : nil))
    }

    private func errorCode(_ code: CURLcode, _ reply: Int) -> HTTPClientError.Code {
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: .invalidURL
        // User and password in a URL.
        case CURLE_LOGIN_DENIED where !isMail: .invalidURL
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .unknownHost
        case CURLE_COULDNT_CONNECT: .connectionFailed
        case CURLE_OPERATION_TIMEDOUT: .timeout
        case CURLE_TOO_MANY_REDIRECTS: .redirectRefused
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_USE_SSL_FAILED, CURLE_SSL_CACERT_BADFILE,
            CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER:
            .tlsFailed
        case CURLE_LOGIN_DENIED: (400..<500).contains(reply) ? .mailDeferred : .loginRefused
        default: isMail ? mailErrorCode(reply) : .connectionLost
        }
    }

    private func mailErrorCode(_ reply: Int) -> HTTPClientError.Code {
        switch reply {
        case 400..<500: .mailDeferred
        case 500..<600: .mailRefused
        default: .connectionLost
        }
    }
}

extension Duration {
    /// At least 1: libcurl takes 0 for "no limit".
    fileprivate var wholeMilliseconds: Int {
        max(1, Int(clamping: components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000))
    }
}
