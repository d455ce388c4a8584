// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// Signs messages as the Standard Webhooks specification says: HMAC-SHA-256 over id, time and body.
package enum WebhookSignature {
    /// The key of a secret `v1,whsec_<base64>`; nil for other forms, and for keys outside the specified 24 to 64 bytes.
    package static func key(of secret: SecretString) -> [UInt8]? {
        let prefix = "v1,whsec_"
        let text = secret.reveal()
        guard text.hasPrefix(prefix), let key = Base64.decode(String(text.dropFirst(prefix.count))),
            (24...64).contains(key.count)
        else { return nil }
        return key
    }

    /// The fields of a request: `webhook-id`, `webhook-timestamp`, and in `webhook-signature` one signature a secret.
    package static func headers(
        id: String, at now: Timestamp, body: [UInt8], secrets: [SecretString]
    ) -> [(name: String, value: String)] {
        let time = String(now.unixSeconds)
        let signed = Array("\(id).\(time).".utf8) + body
        let signatures = secrets.compactMap(key(of:)).map { "v1," + Base64.encode(HMAC.code(for: signed, key: $0)) }
        return [
            ("webhook-id", id), ("webhook-timestamp", time),
            ("webhook-signature", signatures.joined(separator: " ")),
        ]
    }
}
