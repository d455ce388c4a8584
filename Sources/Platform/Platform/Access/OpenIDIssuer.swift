// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
internal import HTTP
package import HTTPClient
internal import Primitives
internal import Synchronization

/// Why another issuer's description or keys could not be had; for the log.
package struct OpenIDError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// An OpenID provider: its description and the keys of its tokens, fetched when they are needed, kept, and fetched anew when a
/// token names a key that is not known (OpenID Connect Discovery 1.0).
///
/// However many tokens name unknown keys, it is asked at most once in ``Limits/pause``, by one request while the others wait.
/// When it cannot be reached its last keys go on serving for ``Limits/maxAge``.
package final class OpenIDIssuer: Sendable {
    package struct Limits: Sendable {
        /// How long keys are taken for current.
        package var lifetime: Duration = .seconds(600)
        /// Between two attempts to fetch.
        package var pause: Duration = .seconds(10)
        /// How long keys serve while newer ones cannot be had.
        package var maxAge: Duration = .seconds(86_400)
        package var timeout: Duration = .seconds(5)
        /// Of each document.
        package var maxBytes = 512 << 10

        package init() {}
    }

    /// What an issuer says of itself.
    package struct Metadata: Sendable {
        /// The `iss` of its tokens; may hold `{tenantid}` with Azure.
        package let issuer: String
        private let members: JSONObject

        fileprivate init(_ members: JSONObject, issuer: String) {
            self.members = members
            self.issuer = issuer
        }

        package func text(_ name: String) -> String? { members[name]?.stringValue }
        package func texts(_ name: String) -> [String]? { members[name]?.arrayValue?.compactMap(\.stringValue) }
    }

    /// A description with the keys that go with it.
    package struct Facts: Sendable {
        package let metadata: Metadata
        package let keys: PublishedKeys
        fileprivate let fetchedAt: ContinuousClock.Instant
    }

    private struct State {
        var facts: Facts?
        var attemptedAt: ContinuousClock.Instant?
        var error = OpenIDError("not fetched yet")
        /// Open once the attempt under way is over.
        var attempt: Gate?
    }

    /// As configured, without a slash at its end.
    package let url: String
    private let client: HTTPClient
    private let limits: Limits
    private let state = Mutex(State())

    /// - Parameter url: the issuer's address; its description is at `/.well-known/openid-configuration` below it.
    package init(url: String, client: HTTPClient, limits: Limits = Limits()) {
        self.url = url.hasSuffix("/") ? String(url.dropLast()) : url
        self.client = client
        self.limits = limits
    }

    /// What was fetched last, however old; nil before.
    package var lastFacts: Facts? { state.withLock { $0.facts } }

    /// The issuer's description, and its keys with the one that a token names if the issuer has it.
    ///
    /// - Parameter keyID: the `kid` of a token; nil when any will do.
    /// - Throws: ``OpenIDError`` when nothing usable could be fetched.
    package func facts(naming keyID: String? = nil) async throws(OpenIDError) -> Facts {
        let now = ContinuousClock.now
        if let facts = lastFacts, now < facts.fetchedAt + limits.lifetime,
            keyID.map(facts.keys.ids.contains) ?? true
        {
            return facts
        }
        await refresh(at: now)
        let (facts, error) = state.withLock { ($0.facts, $0.error) }
        guard let facts, now < facts.fetchedAt + limits.maxAge else { throw error }
        return facts
    }

    /// Fetches, unless that was tried a moment ago or is under way, which is waited for.
    private func refresh(at now: ContinuousClock.Instant) async {
        enum Step {
            case fetch(Gate)
            case wait(Gate)
            case nothing
        }
        let step: Step = state.withLock { state in
            if let attempt = state.attempt { return .wait(attempt) }
            if let last = state.attemptedAt, now < last + limits.pause { return .nothing }
            let gate = Gate()
            state.attempt = gate
            state.attemptedAt = now
            return .fetch(gate)
        }
        switch step {
        case .nothing: return
        case .wait(let gate): await gate.wait()
        case .fetch(let gate):
            let result = await fetch()
            state.withLock { state in
                state.attempt = nil
                switch result {
                case .success(let facts): state.facts = facts
                case .failure(let error): state.error = error
                }
            }
            gate.open()
        }
    }

    private func fetch() async -> Result<Facts, OpenIDError> {
        do throws(OpenIDError) {
            let metadata = try metadata(try await document(url + "/.well-known/openid-configuration"))
            guard let address = metadata.text("jwks_uri"), isTrusted(address) else {
                throw OpenIDError("\(url) names no usable jwks_uri")
            }
            let jwks = try await document(address)
            guard let keys = try? PublishedKeys(jwks) else { throw OpenIDError("\(url) publishes no usable keys") }
            return .success(Facts(metadata: metadata, keys: keys, fetchedAt: .now))
        } catch {
            return .failure(error)
        }
    }

    /// The description, if it is that of the issuer that was asked (section 4.3): one that names another could make tokens of that
    /// one pass. Azure's common endpoints describe all tenants at once, with a place for the tenant.
    private func metadata(_ document: JSON) throws(OpenIDError) -> Metadata {
        guard let members = document.objectValue, let issuer = members["issuer"]?.stringValue else {
            throw OpenIDError("\(url) describes no issuer")
        }
        let bare = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        guard bare == url || Self.isAzure(url, describing: bare) else {
            throw OpenIDError("\(url) describes another issuer")
        }
        for name in ["authorization_endpoint", "token_endpoint", "userinfo_endpoint"] {
            guard members[name]?.stringValue.map(isTrusted) ?? true else {
                throw OpenIDError("\(url) names an unusable \(name)")
            }
        }
        return Metadata(members, issuer: issuer)
    }

    private static func isAzure(_ url: String, describing issuer: String) -> Bool {
        let host = "https://login.microsoftonline.com/"
        return url.hasPrefix(host) && url.hasSuffix("/v2.0") && issuer == host + "{tenantid}/v2.0"
    }

    /// What is reached by TLS does not send anybody to where there is none.
    private func isTrusted(_ address: String) -> Bool {
        address.hasPrefix("https://") || (url.hasPrefix("http://") && address.hasPrefix("http://"))
    }

    private func document(_ address: String) async throws(OpenIDError) -> JSON {
        var request = HTTPClientRequest(.get, address, headers: ["Accept": "application/json"])
        request.timeout = limits.timeout
        request.connectTimeout = limits.timeout
        request.maxResponseBytes = limits.maxBytes
        let response: HTTPClientResponse
        do { response = try await client.send(request) } catch { throw OpenIDError("\(address): \(error)") }
        guard response.status == .ok, let document = try? JSON(parsing: response.body, maxDepth: 16) else {
            throw OpenIDError("\(address) answered \(response.status.code) or no JSON")
        }
        return document
    }
}
