// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import HTTPClient
import Synchronization
import Testing

/// Runs our HTTP server and a client on one loop.
func withServer<R: Sendable>(
    _ router: Router, tls: TLSConfiguration? = nil, client configuration: HTTPClientConfiguration = .init(),
    _ body: @Sendable @escaping (HTTPClient, String) async throws -> R
) async throws -> R {
    try await Loop.withLoop { loop in
        var settings = HTTPServerConfiguration()
        settings.tls = tls
        let server = try HTTPServer(settings, router: router, loops: [loop])
        let client = try HTTPClient(configuration, loops: [loop])
        let scheme = tls == nil ? "http" : "https"
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { await server.run() }
            let result: Result<R, any Error>
            do { result = .success(try await body(client, "\(scheme)://127.0.0.1:\(server.port)")) } catch {
                result = .failure(error)
            }
            await client.shutdown()
            server.stop()
            try await group.waitForAll()
            return try result.get()
        }
    }
}

/// The error's code of a request that must fail.
func failure(_ client: HTTPClient, _ request: HTTPClientRequest) async -> HTTPClientError.Code? {
    do {
        let response = try await client.send(request)
        Issue.record("answered \(response.status)")
        return nil
    } catch {
        return error.code
    }
}

/// The status of a request that must be answered.
func status(_ client: HTTPClient, _ request: HTTPClientRequest) async -> HTTPStatus? {
    do { return try await client.send(request).status } catch {
        Issue.record("\(error)")
        return nil
    }
}
