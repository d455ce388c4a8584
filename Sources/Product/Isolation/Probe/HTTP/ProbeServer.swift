// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import HTTP
internal import HTTPClient
package import Primitives

/// The running server that a probe sends its requests to.
package struct ProbeServer: Sendable {
    /// Where it answers, without a slash at the end.
    package var url: String
    /// The public key of the project.
    package var anonKey: SecretString
    /// The key with all rights, with which the probe's accounts are made and removed.
    package var serviceKey: SecretString
    /// The access key of a user's S3 requests, and their region.
    package var projectID: String
    package var region = "local"
    /// PEM file of certificate authorities for a server whose certificate is its own.
    package var certificateAuthorityFile: String?

    package init(url: String, anonKey: SecretString, serviceKey: SecretString, projectID: String) {
        self.url = url
        self.anonKey = anonKey
        self.serviceKey = serviceKey
        self.projectID = projectID
    }

    /// As in the field `Host`.
    var authority: String {
        let rest = url.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: true).last ?? ""
        return String(rest.drop { $0 == "/" }.prefix { $0 != "/" })
    }

    /// How many requests are under way at a time: more than one, so that the server need not wait for the probe, and few beside
    /// those of its real users.
    static let parallel = 6

    /// - Throws: `HTTPClientError` when there is no client to be had.
    func client(on loop: Loop) throws -> HTTPClient {
        var configuration = HTTPClientConfiguration()
        configuration.certificateAuthorityFile = certificateAuthorityFile
        configuration.maxConnectionsPerHost = Self.parallel
        return try HTTPClient(configuration, loops: [loop])
    }

    /// Sends requests a few at a time, over connections that are kept.
    ///
    /// - Returns: their answers, in their order.
    /// - Throws: `HTTPClientError` of the first that fails.
    func send(_ requests: [ProbeRequest], by client: HTTPClient) async throws -> [ProbeAnswer] {
        guard requests.count > 1 else {
            var answers: [ProbeAnswer] = []
            for request in requests { answers.append(try await send(request, by: client)) }
            return answers
        }
        let loop = Loop.current
        return try await withThrowingTaskGroup(of: (Int, ProbeAnswer).self) { group in
            var answers = [ProbeAnswer?](repeating: nil, count: requests.count)
            var next = 0
            func begin(_ group: inout ThrowingTaskGroup<(Int, ProbeAnswer), any Error>) {
                let index = next
                next += 1
                group.addTask(executorPreference: loop) { (index, try await send(requests[index], by: client)) }
            }
            while next < min(Self.parallel, requests.count) { begin(&group) }
            while let (index, answer) = try await group.next() {
                answers[index] = answer
                if next < requests.count { begin(&group) }
            }
            return answers.compactMap { $0 }
        }
    }

    /// - Throws: `HTTPClientError`.
    func send(_ request: ProbeRequest, by client: HTTPClient) async throws -> ProbeAnswer {
        var headers = HTTPHeaders()
        switch request.caller {
        case .visitor: headers.set("apikey", anonKey.reveal())
        case .member(let session):
            headers.set("apikey", anonKey.reveal())
            headers.set("authorization", "Bearer \(session.token.reveal())")
        case .service:
            headers.set("apikey", serviceKey.reveal())
            headers.set("authorization", "Bearer \(serviceKey.reveal())")
        case .nobody: break
        }
        for (name, value) in request.headers { headers.set(name, value) }
        var sent = HTTPClientRequest(request.method, url + request.path, headers: headers, body: request.body)
        sent.timeout = .seconds(30)
        sent.maxResponseBytes = 16 << 20
        let response = try await client.send(sent)
        return ProbeAnswer(status: response.status.code, headers: response.headers, body: response.body)
    }
}
