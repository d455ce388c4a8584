// SPDX-License-Identifier: Apache-2.0
package import HTTP
import Mail
import Primitives

/// Shows the mail of a project that has no mail server: a page for people, and the JSON API of Mailpit for tests.
package struct MailCatcher: Sendable {
    package let store: MailStore
    /// Whether only names of this machine may stand in `Host`: a page elsewhere could otherwise be made to look like this one.
    private let isLocalOnly: Bool
    private let version: String

    private static let maxBodyBytes = 1 << 20

    package init(store: MailStore, isLocalOnly: Bool, version: String) {
        self.store = store
        self.isLocalOnly = isLocalOnly
        self.version = version
    }

    /// Adds the routes, which stand at the root of a port of their own.
    package func register(on router: inout Router) {
        func on(_ method: HTTPMethod, _ path: String, _ handler: @escaping HTTPHandler) {
            router.on(method, path, maxBodyBytes: Self.maxBodyBytes) { request in
                try checkHost(request)
                return try await handler(request)
            }
        }
        on(.get, "/") { _ in MailPage.list(store.all) }
        on(.get, "/view/:id") { try view($0) }
        on(.get, "/livez") { _ in .text("ok") }
        on(.get, "/readyz") { _ in .text("ok") }
        on(.get, "/api/v1/info") { _ in info }
        on(.get, "/api/v1/messages") { list(store.all, $0) }
        on(.put, "/api/v1/messages") { try await mark($0) }
        on(.delete, "/api/v1/messages") { try await remove($0) }
        on(.get, "/api/v1/search") { request in list(try found(request), request) }
        on(.delete, "/api/v1/search") { request in
            store.remove(try found(request).map(\.id))
            return .text("ok")
        }
        on(.get, "/api/v1/message/:id") { request in
            let mail = try mail(request)
            store.mark([mail.id], isRead: true)
            return .json(mail.details)
        }
        on(.get, "/api/v1/message/:id/headers") { .json(try mail($0).headers) }
        on(.get, "/api/v1/message/:id/raw") { .text(try mail($0).raw) }
    }

    private func checkHost(_ request: HTTPRequest) throws(HTTPError) {
        guard isLocalOnly else { return }
        let host = request.headers["host"] ?? ""
        let name = host.hasPrefix("[") ? host.prefix { $0 != "]" } + "]" : host.prefix { $0 != ":" }
        guard ["localhost", "[::1]"].contains(name) || name.hasPrefix("127.") else {
            throw HTTPError(.forbidden, "this port answers to names of this machine alone")
        }
    }

    private func mail(_ request: HTTPRequest) throws(HTTPError) -> CaughtMail {
        guard let mail = store.mail(request.parameters["id"] ?? "") else {
            throw HTTPError(.notFound, "message not found")
        }
        return mail
    }

    /// `/view/ID`, `/view/ID.html`, `/view/ID.txt`.
    private func view(_ request: HTTPRequest) throws(HTTPError) -> HTTPResponse {
        let name = request.parameters["id"] ?? ""
        let parts = name.split(separator: ".", maxSplits: 1)
        guard let id = parts.first, let mail = store.mail(String(id)) else {
            throw HTTPError(.notFound, "message not found")
        }
        store.mark([mail.id], isRead: true)
        switch parts.count == 2 ? parts[1] : "" {
        case "": return MailPage.view(mail)
        case "html": return MailPage.content(mail)
        case "txt": return .text(mail.content.text)
        default: throw HTTPError(.notFound, "message not found")
        }
    }

    // MARK: Mailpit's API

    private var info: HTTPResponse {
        let mails = store.all
        return .json([
            "Version": .string(version), "Messages": JSON(mails.count), "Unread": JSON(mails.count { !$0.isRead }),
        ])
    }

    private func found(_ request: HTTPRequest) throws(HTTPError) -> [CaughtMail] {
        let query = request.query.flatMap { FormFields(query: $0).first("query") } ?? ""
        guard !query.isEmpty else { throw HTTPError(.badRequest, "no search query") }
        return store.all.filter { $0.matches(query) }
    }

    private func list(_ mails: [CaughtMail], _ request: HTTPRequest) -> HTTPResponse {
        let query = request.query.map { FormFields(query: $0) }
        let start = max(0, query?.first("start").flatMap(Int.init) ?? 0)
        let limit = min(max(0, query?.first("limit").flatMap(Int.init) ?? 50), 1000)
        let page = mails.dropFirst(start).prefix(limit)
        let all = store.all
        return .json([
            "total": JSON(all.count), "unread": JSON(all.count { !$0.isRead }), "count": JSON(page.count),
            "messages_count": JSON(mails.count), "messages_unread": JSON(mails.count { !$0.isRead }),
            "start": JSON(start), "tags": [], "messages": .array(page.map(\.summary)),
        ])
    }

    /// The ids a body names; nil for all.
    private func ids(_ body: JSON) -> [String]? {
        guard let ids = body["IDs"]?.arrayValue, !ids.isEmpty else { return nil }
        return ids.compactMap(\.stringValue)
    }

    private func body(_ request: HTTPRequest) async throws -> JSON {
        let bytes = try await request.body.collect(upTo: Self.maxBodyBytes)
        if bytes.isEmpty { return [:] }
        do { return try JSON(parsing: bytes) } catch { throw HTTPError(.badRequest, "the body is no JSON") }
    }

    private func mark(_ request: HTTPRequest) async throws -> HTTPResponse {
        let body = try await body(request)
        store.mark(ids(body), isRead: body["Read"]?.boolValue ?? false)
        return .text("ok")
    }

    private func remove(_ request: HTTPRequest) async throws -> HTTPResponse {
        store.remove(ids(try await body(request)))
        return .text("ok")
    }
}

extension CaughtMail {
    /// An entry of a list.
    fileprivate var summary: JSON {
        [
            "ID": .string(id), "MessageID": .string(content.messageID), "Read": .bool(isRead), "From": from,
            "To": to, "Cc": .array(content.cc.map(\.json)), "Bcc": [], "ReplyTo": .array(content.replyTo.map(\.json)),
            "Subject": .string(content.subject), "Created": .string(receivedAt.description), "Tags": [],
            "Size": JSON(raw.utf8.count), "Attachments": JSON(content.attachments.count),
            "Snippet": .string(content.snippet),
        ]
    }

    fileprivate var details: JSON {
        [
            "ID": .string(id), "MessageID": .string(content.messageID), "From": from, "To": to,
            "Cc": .array(content.cc.map(\.json)), "Bcc": [], "ReplyTo": .array(content.replyTo.map(\.json)),
            "ReturnPath": .string(sender), "Subject": .string(content.subject),
            "ListUnsubscribe": ["Header": "", "Links": [], "Errors": "", "HeaderPost": ""],
            "Date": .string(receivedAt.description), "Tags": [], "Text": .string(content.text),
            "HTML": .string(content.html), "Size": JSON(raw.utf8.count), "Inline": [],
            "Attachments": .array(
                content.attachments.map {
                    ["FileName": .string($0.name), "ContentType": .string($0.type), "Size": JSON($0.byteCount)]
                }),
        ]
    }

    fileprivate var headers: JSON {
        var members = JSONObject()
        for (name, value) in content.headers {
            members[name] = .array((members[name]?.arrayValue ?? []) + [.string(value)])
        }
        return .object(members)
    }

    private var from: JSON { content.from.first?.json ?? ["Name": "", "Address": .string(sender)] }
    private var to: JSON {
        content.to.isEmpty
            ? .array(recipients.map { ["Name": "", "Address": .string($0)] }) : .array(content.to.map(\.json))
    }
}
