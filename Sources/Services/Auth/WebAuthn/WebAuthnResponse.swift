// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// What a page sends after it has asked an authenticator: `credential_response`, in the JSON form of Web Authentication Level 3
/// (section 5.1).
struct WebAuthnResponse: Sendable {
    /// Why a response proves nothing; for the log.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// The key that was used, or made.
    let id: [UInt8]
    private let clientData: [UInt8]
    private let response: JSON

    /// - Throws: `validationFailed` for what is no such response.
    init(_ json: JSON?) throws(AuthError) {
        guard let json, json["type"] == "public-key", let id = Self.bytes(json["rawId"] ?? json["id"]), !id.isEmpty,
            let response = json["response"], let clientData = Self.bytes(response["clientDataJSON"])
        else { throw AuthError(.validationFailed, "credential_response is not a public-key credential") }
        self.id = id
        self.clientData = clientData
        self.response = response
    }

    /// Some clients pad what should not be padded.
    private static func bytes(_ value: JSON?) -> [UInt8]? {
        value?.stringValue.flatMap { text in Base64URL.decode(text.prefix { $0 != "=" }) }
    }

    // MARK: Registration

    /// The key that was made for a challenge (section 7.1).
    ///
    /// What the maker of the key attests is not looked at: no kind of key is trusted more than another, and none was asked to.
    ///
    /// - Parameter verifyingUser: whether the key must have looked who its user is.
    func registration(
        _ challenge: String, at party: RelyingParty, verifyingUser: Bool = false
    ) throws(Failure) -> WebAuthnCredential {
        try checkClientData("webauthn.create", challenge, party)
        guard let object = Self.bytes(response["attestationObject"]), let attestation = try? CBOR(parsing: object),
            let bytes = attestation["authData"]?.bytesValue, attestation["fmt"]?.textValue != nil
        else { throw Failure("no attestation object") }
        let data = try authenticatorData(bytes, party, verifyingUser)
        guard let attested = data.attested, attested.id == id else { throw Failure("no key, or another") }
        guard let value = try? CBOR(parsing: attested.publicKey), (try? COSEKey(value)) != nil else {
            throw Failure("a key of a kind that was not asked for")
        }
        let transports = response["transports"]?.arrayValue?.prefix(8).compactMap(\.stringValue) ?? []
        return WebAuthnCredential(data, attested, transports: transports)
    }

    // MARK: Assertion

    /// The key as it is after this use of it for a challenge (section 7.2).
    func assertion(
        _ challenge: String, by credential: WebAuthnCredential, of user: UUID, at party: RelyingParty,
        verifyingUser: Bool = false
    ) throws(Failure) -> WebAuthnCredential {
        guard id == credential.id else { throw Failure("another key") }
        // Only a key that remembers its user says who that is, and one that signs in by itself must.
        let handle = Self.bytes(response["userHandle"]) ?? []
        guard handle == RelyingParty.handle(of: user) || (handle.isEmpty && !verifyingUser) else {
            throw Failure("somebody else's key")
        }
        try checkClientData("webauthn.get", challenge, party)
        guard let bytes = Self.bytes(response["authenticatorData"]), let signature = Self.bytes(response["signature"])
        else { throw Failure("no signature") }
        let data = try authenticatorData(bytes, party, verifyingUser)
        guard let value = try? CBOR(parsing: credential.publicKey), let key = try? COSEKey(value),
            key.verifies(signature, of: bytes + digest(clientData))
        else { throw Failure("the signature is not the key's") }
        guard data.flags.contains(.backupEligible) == credential.isBackupEligible else {
            throw Failure("the key has changed its kind")
        }
        // One that counts must go on counting: a copy of it would fall behind (section 6.1.1).
        guard data.signCount > credential.signCount || (data.signCount == 0 && credential.signCount == 0) else {
            throw Failure("the key's counter went back: there may be a copy of it")
        }
        var used = credential
        used.signCount = data.signCount
        used.isBackedUp = data.flags.contains(.backedUp)
        return used
    }

    // MARK: Both

    private func checkClientData(_ type: String, _ challenge: String, _ party: RelyingParty) throws(Failure) {
        guard let data = try? JSON(parsing: clientData, maxDepth: 8), data["type"] == .string(type) else {
            throw Failure("data of the client for something else")
        }
        guard let given = data["challenge"]?.stringValue,
            constantTimeEquals(Array(given.utf8), Array(challenge.utf8))
        else { throw Failure("another challenge") }
        guard let origin = data["origin"]?.stringValue, party.origins.contains(origin) else {
            throw Failure("a page of another origin")
        }
        // A page in a frame of somebody else's does not say so truthfully who asks.
        guard data["crossOrigin"] != true else { throw Failure("a page in a frame") }
    }

    private func authenticatorData(
        _ bytes: [UInt8], _ party: RelyingParty, _ verifyingUser: Bool
    ) throws(Failure) -> AuthenticatorData {
        guard let data = AuthenticatorData(bytes) else { throw Failure("authenticator data that is not whole") }
        guard constantTimeEquals(data.relyingPartyDigest, digest(party.id.utf8)) else {
            throw Failure("a key of another domain")
        }
        guard data.flags.contains(.userPresent) else { throw Failure("nobody touched the key") }
        guard data.flags.contains(.userVerified) || !verifyingUser else { throw Failure("the key asked for nobody") }
        guard data.flags.contains(.backupEligible) || !data.flags.contains(.backedUp) else {
            throw Failure("a key that is backed up and cannot be")
        }
        return data
    }
}
