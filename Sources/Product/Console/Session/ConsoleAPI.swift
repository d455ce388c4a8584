// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Primitives

/// The server's own API as the console uses it: with the key every web page may have and the visitor's token, so that a page can do no
/// more than its visitor could with any client.
package struct ConsoleAPI: Sendable {
    /// Answers a request within the process.
    package typealias Send = @Sendable (HTTPRequest) async -> HTTPResponse

    private let key: SecretString
    private let operatorKey: SecretString
    private let send: Send

    /// - Parameters:
    ///   - key: the publishable API key.
    ///   - operatorKey: the secret API key, with which pages for operators ask, and no others.
    ///   - send: given by whoever composes the server, as services do not know each other.
    package init(key: SecretString, operatorKey: SecretString, send: @escaping Send) {
        self.key = key
        self.operatorKey = operatorKey
        self.send = send
    }

    struct Answer: Sendable {
        let status: Int
        let body: JSON?

        var isSuccess: Bool { (200..<300).contains(status) }
        /// As the status of a page; what failed inside is no success of the page.
        var pageStatus: HTTPStatus { HTTPStatus(code: (400..<600).contains(status) ? status : 502) }

        /// The refusal's code, as whichever service calls it.
        var code: String? {
            for value in [body?["error_code"], body?["code"], body?["error"]?["code"]] {
                if let text = value?.stringValue { return text }
            }
            return nil
        }

        /// What went wrong: in the visitor's language where the catalogue has the refusal, else in the words of whichever service
        /// said so.
        var phrase: Phrase {
            if let message = code.flatMap({ Message.refusals[$0] }) { return .of(message) }
            // One reason has a text of the catalogue; which characters are missing is said by the service alone.
            let weaknesses = body?["weak_password"]?["reasons"]?.arrayValue?.compactMap(\.stringValue) ?? []
            if weaknesses.count == 1, let message = Message.weaknesses[weaknesses[0]] { return .of(message) }
            for value in [
                body?["msg"], body?["message"], body?["error"]?["message"], body?["error_description"], body?["error"],
            ] {
                if let text = value?.stringValue { return .words(text) }
            }
            return .of(.serverAnswered, "\(status)")
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
        return await answer(method, target, headers, body?.encoded() ?? [], visit)
    }

    /// Asks with the secret key: what an ``Operator`` is for, who proves that the visitor may.
    func call(
        _ method: HTTPMethod, _ target: String, as _: Operator, body: JSON? = nil, for visit: HTTPRequest
    ) async -> Answer {
        var headers: HTTPHeaders = ["apikey": operatorKey.reveal()]
        if body != nil { headers.set("Content-Type", "application/json") }
        return await answer(method, target, headers, body?.encoded() ?? [], visit)
    }

    /// Whether a key that somebody typed is a secret key of this project: it lists one user as such a key can.
    func isSecretKey(_ typed: String, for visit: HTTPRequest) async -> Bool {
        guard !typed.isEmpty else { return false }
        return await answer(.get, "/auth/v1/admin/users?per_page=1", ["apikey": typed], [], visit).isSuccess
    }

    /// Makes a bucket that the pages themselves need: what every project may have, whoever's visit it is that finds it missing.
    func makeBucket(_ bucket: JSON, for visit: HTTPRequest) async -> Answer {
        await answer(
            .post, "/storage/v1/bucket", ["apikey": operatorKey.reveal(), "Content-Type": "application/json"],
            bucket.encoded(), visit)
    }

    /// A response as it is, for files.
    ///
    /// - Parameter actor: nil for the visitor's own rights.
    func fetch(
        _ method: HTTPMethod, _ target: String, token: String?, as actor: Operator? = nil,
        headers extra: HTTPHeaders = HTTPHeaders(), body: [UInt8] = [], for visit: HTTPRequest
    ) async -> HTTPResponse {
        var headers: HTTPHeaders = ["apikey": actor == nil ? key.reveal() : operatorKey.reveal()]
        if actor == nil, let token { headers.set("Authorization", "Bearer \(token)") }
        for field in extra.fields { headers.set(field.name, field.value) }
        return await response(method, target, headers, body, visit)
    }

    private func answer(
        _ method: HTTPMethod, _ target: String, _ headers: HTTPHeaders, _ body: [UInt8], _ visit: HTTPRequest
    ) async -> Answer {
        let response = await response(method, target, headers, body, visit)
        return Answer(status: response.status.code, body: Self.json(response))
    }

    private func response(
        _ method: HTTPMethod, _ target: String, _ headers: HTTPHeaders, _ body: [UInt8], _ visit: HTTPRequest
    ) async -> HTTPResponse {
        var headers = headers
        if let agent = visit.headers["user-agent"] { headers.set("User-Agent", agent) }
        return await send(
            HTTPRequest(
                method, target, headers: headers, body: body, remoteAddress: visit.remoteAddress, id: visit.id,
                loop: visit.loop))
    }

    static func json(_ response: HTTPResponse) -> JSON? {
        switch response.body {
        case .bytes(let bytes): try? JSON(parsing: bytes)
        case .lent(let owner): owner.withBytes { try? JSON(parsing: Array($0)) }
        case .empty, .file, .stream: nil
        }
    }
}
