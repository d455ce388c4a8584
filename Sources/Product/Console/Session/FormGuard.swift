// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Primitives

/// Lets forms in that a page of this server has made, for the browser that sends them.
///
/// Three locks, each enough: SameSite cookies, what browsers say of a request's origin, and a token in each form that is the HMAC of
/// a random cookie, which another site neither reads nor makes.
struct FormGuard: Sendable {
    static let cookieName = "atoll-form"
    static let fieldName = "form_token"
    private let key: [UInt8]

    /// - Parameter secret: of the project; the guard's own key is derived from it.
    init(secret: [UInt8]) {
        key = HKDF.derive(from: secret, info: Array("atoll console forms".utf8), count: 32)
    }

    /// The browser's random cookie: the one it sent, or a new one.
    func seed(of request: HTTPRequest) -> (value: String, isNew: Bool) {
        if let sent = Cookie.all(of: request)[Self.cookieName], sent.count == 32, Hex.decode(sent) != nil {
            return (sent, false)
        }
        return (Hex.encode(randomBytes(16)), true)
    }

    /// What a form carries; ``FormOwner`` may follow after a point.
    func token(for seed: String) -> String { Base64URL.encode(HMAC.code(for: seed.utf8, key: key)) }

    /// - Throws: 403 for a form of another site or another browser, 415 for another type.
    func check(_ fields: FormFields, of request: HTTPRequest) throws(PageRefusal) {
        guard Self.isSameOrigin(request) else { throw PageRefusal(.forbidden, .formOfOtherSite) }
        guard let seed = Cookie.all(of: request)[Self.cookieName],
            let sent = (fields.first(Self.fieldName) ?? "").split(separator: ".").first.flatMap({
                Base64URL.decode(String($0))
            }),
            HMAC.isValid(sent, for: seed.utf8, key: key)
        else { throw PageRefusal(.forbidden, .formOfOtherVisit) }
    }

    /// Reads and checks a form.
    func form(of request: HTTPRequest) async throws -> FormFields {
        guard request.headers["content-type"]?.lowercased().hasPrefix("application/x-www-form-urlencoded") == true
        else { throw PageRefusal(415, .formOfOtherType) }
        guard let text = String(validating: try await request.body.collect(), as: UTF8.self) else {
            throw PageRefusal(.badRequest, .formOfOtherType)
        }
        let fields = FormFields(query: text)
        try check(fields, of: request)
        return fields
    }

    /// Reads and checks a form with a file, whose token stands in the address: the body is handed on as it is.
    func upload(of request: HTTPRequest) async throws -> [UInt8] {
        guard request.headers["content-type"]?.lowercased().hasPrefix("multipart/form-data") == true
        else { throw PageRefusal(415, .formOfOtherType) }
        try check(FormFields(query: request.query ?? ""), of: request)
        return try await request.body.collect()
    }

    /// Browsers say so in `Sec-Fetch-Site` and `Origin`; what sends neither is no browser that another site could have steered.
    private static func isSameOrigin(_ request: HTTPRequest) -> Bool {
        if let site = request.headers["sec-fetch-site"] { return site == "same-origin" || site == "none" }
        guard let origin = request.headers["origin"] else { return true }
        guard let host = request.headers["host"] else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }
}
