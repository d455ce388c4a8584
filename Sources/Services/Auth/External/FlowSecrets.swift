// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// What belongs to a sign-in at an external provider and is not in the database: all of it follows from the flow's id and a key
/// of the project's, so that reading the database is of no use for finishing somebody's flow.
struct FlowSecrets: Sendable {
    private let key: [UInt8]

    init(key: SecretString) {
        self.key = HKDF.derive(from: key.bytes, info: Array("flows of external providers".utf8), count: 32)
    }

    private func code(_ purpose: String, _ flow: UUID) -> [UInt8] {
        HMAC.code(for: Array("\(purpose) \(flow)".utf8), key: key)
    }

    /// The `state` parameter: the flow's id and a code that proves that it was made here.
    func state(_ flow: UUID) -> String {
        Base64URL.encode(Array(flow.description.utf8)) + "." + Base64URL.encode(code("state", flow))
    }

    /// The flow of a `state` parameter; nil for one that was not made here.
    func flow(ofState text: String) -> UUID? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= 256, parts.count == 2, let id = Base64URL.decode(parts[0]),
            let proof = Base64URL.decode(parts[1]), let flow = UUID(String(decoding: id, as: UTF8.self)),
            constantTimeEquals(proof, code("state", flow))
        else { return nil }
        return flow
    }

    /// Ties an id token to the flow (OpenID Connect Core section 3.1.2.1).
    func nonce(_ flow: UUID) -> String { Base64URL.encode(code("nonce", flow)) }

    /// Our own verifier towards the provider (RFC 7636).
    func verifier(_ flow: UUID) -> String { Base64URL.encode(code("verifier", flow)) }

    /// What the browser that began the flow keeps in a cookie.
    func browserMark(_ flow: UUID) -> String { Base64URL.encode(code("browser", flow)) }
}
