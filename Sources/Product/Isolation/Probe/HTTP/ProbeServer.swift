// SPDX-License-Identifier: Apache-2.0
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
