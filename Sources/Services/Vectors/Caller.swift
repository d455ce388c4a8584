// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Primitives
internal import Synchronization

/// Who a request to Vectors speaks for.
struct Caller: Sendable {
    let principal: Principal
    /// The tenant a collection is looked for in and made for: the token's, or the one that the service key names in
    /// `X-Atoll-Tenant`; nil for the project itself.
    let tenant: UUID?
    /// Whether row level security does not bound it.
    let isService: Bool
    /// What its request may still read of points.
    let budget: ReadBudget

    /// The key is in `api-key`, as Qdrant's clients send it, or where the other services look: `apikey`, `Authorization`.
    ///
    /// - Throws: `AccessError`; ``VectorsError`` with `forbidden` for a key that stands for nobody.
    init(_ request: HTTPRequest, _ access: AccessControl, maxAnswerBytes: Int) throws {
        let principal: Principal
        if let key = request.headers["api-key"] {
            let holder = try access.principal(presenting: key)
            let bearer = AccessControl.bearerToken(of: request)
            principal = if let bearer, bearer != key { try access.principal(presenting: bearer) } else { holder }
        } else {
            principal = try access.principal(for: request)
        }
        try self.init(principal, tenantHeader: request.headers["x-atoll-tenant"], maxAnswerBytes: maxAnswerBytes)
    }

    /// - Throws: ``VectorsError`` with `forbidden` for somebody who is not signed in.
    init(_ principal: Principal, tenantHeader: String? = nil, maxAnswerBytes: Int) throws {
        self.principal = principal
        budget = ReadBudget(bytes: maxAnswerBytes)
        switch principal.role {
        case .anon: throw VectorsError(.forbidden, "sign in, or use the service key")
        case .authenticated:
            isService = false
            tenant = principal.tenantID
        case .serviceRole:
            isService = true
            if let text = tenantHeader {
                guard let named = UUID(text) else { throw VectorsError(.badRequest, "X-Atoll-Tenant is no UUID") }
                tenant = named
            } else {
                tenant = nil
            }
        }
    }
}

/// The bytes of points that one request may still read, all its searches together: what they come to is held in memory until the answer
/// has been written.
final class ReadBudget: Sendable {
    private let left: Mutex<Int>

    init(bytes: Int) { left = Mutex(bytes) }

    var bytes: Int { left.withLock { $0 } }

    func take(_ bytes: Int) { left.withLock { $0 = max(0, $0 - bytes) } }
}
