// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Primitives

/// The server's own API as the console uses it: with the key every web page may have and the visitor's token, so that a page can do no
/// more than its visitor could with any client.
package struct ConsoleAPI: Sendable {
    /// Answers a request within the process.
    package typealias Send = @Sendable (HTTPRequest) async -> HTTPResponse

    private let key: SecretString
    private let send: Send

    /// - Parameters:
    ///   - key: the publishable API key.
    ///   - send: given by whoever composes the server, as services do not know each other.
    package init(key: SecretString, send: @escaping Send) {
        self.key = key
        self.send = send
    }

    struct Answer: Sendable {
        let status: Int
        let body: JSON?

        var isSuccess: Bool { (200..<300).contains(status) }

        /// What went wrong, in the words of whichever service said so.
        var message: String {
            for name in ["msg", "message", "error_description", "error"] {
                if let text = body?[name]?.stringValue { return text }
            }
            return "The server answered \(status)."
        }
    }

    /// - Parameters:
    ///   - token: the visitor's access token; nil for somebody who is not signed in.
    ///   - visit: the browser's request, whose address and id go along.
    func call(
        _ method: HTTPMethod, _ target: String, token: String? = nil, body: JSON? = nil, for visit: HTTPRequest
    ) async -> Answer {
        var headers: HTTPHeaders = ["apikey": key.reveal()]
        if let token { headers.set("Authorization", "Bearer \(token)") }
        if body != nil { headers.set("Content-Type", "application/json") }
        if let agent = visit.headers["user-agent"] { headers.set("User-Agent", agent) }
        let response = await send(
            HTTPRequest(
                method, target, headers: headers, body: body?.encoded() ?? [], remoteAddress: visit.remoteAddress,
                id: visit.id, loop: visit.loop))
        return Answer(status: response.status.code, body: Self.json(response))
    }

    private static func json(_ response: HTTPResponse) -> JSON? {
        switch response.body {
        case .bytes(let bytes): try? JSON(parsing: bytes)
        case .lent(let owner): owner.withBytes { try? JSON(parsing: Array($0)) }
        case .empty, .file, .stream: nil
        }
    }
}
