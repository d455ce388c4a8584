// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What of a request SQL can read by `current_setting('request....')`.
enum RequestSettings {
    /// The cookies as a JSON object.
    static func cookies(_ header: String?) -> String {
        guard let header else { return "{}" }
        var members = JSONObject()
        for pair in header.split(separator: ";") {
            let parts = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, !parts[0].isEmpty { members[String(parts[0])] = .string(String(parts[1])) }
        }
        return JSON.object(members).text
    }
}
