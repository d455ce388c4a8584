// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// A security key of a user, in the form GoTrue keeps it in `web_authn_credential`, so that rows can be moved in and out.
struct WebAuthnCredential: Sendable {
    let id: [UInt8]
    /// A COSE key, as the authenticator gave it.
    let publicKey: [UInt8]
    let transports: [String]
    let aaguid: [UInt8]
    /// Uses, counted by the authenticator; 0 for one that does not count.
    var signCount: UInt32
    let isBackupEligible: Bool
    var isBackedUp: Bool

    /// The transports of Level 3; a name that is not known says nothing.
    private static let knownTransports: Set<String> = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"]

    init(_ data: AuthenticatorData, _ attested: AuthenticatorData.AttestedCredential, transports: [String]) {
        id = attested.id
        publicKey = attested.publicKey
        self.transports = transports.filter(Self.knownTransports.contains)
        aaguid = attested.aaguid
        signCount = data.signCount
        isBackupEligible = data.flags.contains(.backupEligible)
        isBackedUp = data.flags.contains(.backedUp)
    }

    /// One that is kept column by column.
    init(
        id: [UInt8], publicKey: [UInt8], transports: [String], signCount: UInt32, isBackupEligible: Bool,
        isBackedUp: Bool
    ) {
        self.id = id
        self.publicKey = publicKey
        self.transports = transports
        aaguid = []
        self.signCount = signCount
        self.isBackupEligible = isBackupEligible
        self.isBackedUp = isBackedUp
    }

    /// Nil for what is no such credential.
    init?(_ json: JSON) {
        guard let id = json["id"]?.stringValue.flatMap({ Base64.decode($0) }), !id.isEmpty,
            let publicKey = json["publicKey"]?.stringValue.flatMap({ Base64.decode($0) })
        else { return nil }
        self.id = id
        self.publicKey = publicKey
        transports = json["transport"]?.arrayValue?.compactMap(\.stringValue) ?? []
        aaguid = json["authenticator"]?["AAGUID"]?.stringValue.flatMap { Base64.decode($0) } ?? []
        signCount = json["authenticator"]?["signCount"]?.intValue.flatMap { UInt32(exactly: $0) } ?? 0
        isBackupEligible = json["flags"]?["backupEligible"]?.boolValue ?? false
        isBackedUp = json["flags"]?["backupState"]?.boolValue ?? false
    }

    var json: JSON {
        [
            "id": .string(Base64.encode(id)), "publicKey": .string(Base64.encode(publicKey)),
            "attestationType": "none", "transport": .array(transports.map { .string($0) }),
            "flags": [
                "userPresent": true, "userVerified": false, "backupEligible": .bool(isBackupEligible),
                "backupState": .bool(isBackedUp),
            ],
            "authenticator": [
                "AAGUID": .string(Base64.encode(aaguid)), "signCount": JSON(Int64(signCount)), "cloneWarning": false,
                "attachment": "",
            ],
        ]
    }

    /// How options name it.
    var descriptor: JSON {
        var members: JSONObject = ["type": "public-key", "id": .string(Base64URL.encode(id))]
        if !transports.isEmpty { members["transports"] = .array(transports.map { .string($0) }) }
        return .object(members)
    }

    /// Nil for an authenticator that does not say what it is.
    var model: UUID? {
        guard aaguid.count == 16, aaguid.contains(where: { $0 != 0 }) else { return nil }
        let hex = Hex.encode(aaguid)
        var text = ""
        for (index, digit) in hex.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        return UUID(text)
    }
}
