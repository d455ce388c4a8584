// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import HTTPClient
import Primitives

/// Where leaked passwords are looked up.
package struct LeakedPasswordConfiguration: Sendable {
    /// A local list; see ``LeakedPasswords``.
    package var path: String?
    /// A server of ranges, without a slash at its end: `GET <url>/range/<five digits>` answers with lines `SUFFIX:COUNT`. It learns
    /// 20 bits of the password's digest and nothing else.
    package var url: String?
    /// Until the server has answered.
    package var timeout: Duration = .seconds(3)
    /// Whether a new password is refused while it cannot be looked up.
    package var isRequired = false

    package init() {}
}

/// Looks passwords up among the leaked ones: in the local list first, and on the server when that does not have it.
struct LeakedPasswordCheck: Sendable {
    let configuration: LeakedPasswordConfiguration
    let workers: WorkerPool
    let client: HTTPClient

    /// A range has some 1,000 lines of 40 bytes; with padding a few more.
    private static let maxRangeBytes = 1 << 20

    /// False where nothing is configured.
    ///
    /// - Throws: ``LeakedPasswords/Failure``, `HTTPClientError`, or what the pool of threads throws.
    func contains(_ password: String) async throws -> Bool {
        if let path = configuration.path,
            try await workers.run({ try LeakedPasswords(path: path).contains(password) })
        {
            return true
        }
        guard let url = configuration.url else { return false }
        return try await server(url, contains: password)
    }

    private func server(_ url: String, contains password: String) async throws -> Bool {
        let digest = LeakedPasswords.digest(of: password)
        let prefix = digest.prefix(LeakedPasswords.prefixLength)
        // Padded answers all have about one size, so that whoever watches the line does not see which range it was.
        var request = HTTPClientRequest(
            .get, "\(url)/range/\(prefix)",
            headers: ["Accept": "text/plain", "Add-Padding": "true", "User-Agent": "Atoll"])
        request.timeout = configuration.timeout
        request.maxResponseBytes = Self.maxRangeBytes
        let response = try await client.send(request)
        guard response.status.code == 200 else {
            throw LeakedPasswords.Failure(
                description: "the server of leaked passwords answered \(response.status.code)")
        }
        return LeakedPasswords.lines(response.body, contain: Array(digest.dropFirst(prefix.count).utf8))
    }
}
