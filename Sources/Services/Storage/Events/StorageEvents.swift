// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
package import EventLoop
internal import HTTP
package import HTTPClient
package import Jobs
package import Postgres
package import Primitives

/// Tells an address of the project what happened to objects: a signed POST for each that was created, replaced, moved or removed, for a
/// virus scan or a converter. Promised in the transaction of the change, so that no kill loses one; sent at least once.
package struct StorageEvents: Sendable {
    /// Where to and how.
    package struct Settings: Sendable {
        package var url: String
        /// `v1,whsec_<base64>`.
        package var secret: SecretString
        /// How long the address may take to answer.
        package var timeout: Duration

        /// - Returns: nil for a secret of another form.
        package init?(url: String, secret: SecretString, timeout: Duration) {
            guard WebhookSignature.key(of: secret) != nil else { return nil }
            self.url = url
            self.secret = secret
            self.timeout = timeout
        }
    }

    private let settings: Settings
    private let client: HTTPClient
    private let log: Log

    package init(_ settings: Settings, client: HTTPClient, log: Log) {
        self.settings = settings
        self.client = client
        self.log = log.with(.field("service", "storage"))
    }

    private var queue: JobQueue {
        // The name stands in the trigger that adds the jobs, too.
        var queue = JobQueue("storage_events")
        queue.firstDelay = .seconds(1)
        queue.lease = settings.timeout + .seconds(5)
        return queue
    }

    /// What sends the events.
    ///
    /// - Parameter owner: logs in as `supabase_storage_admin`, who adds them.
    package func worker(owner: Database, loop: Loop, metrics: Metrics) -> JobWorker {
        JobWorker(queue, database: owner, loop: loop, log: log, metrics: metrics) { await send($0) }
    }

    private func send(_ job: Job) async -> JobOutcome {
        let body = Array(job.payload.utf8)
        var request = HTTPClientRequest(
            .post, settings.url, headers: ["Content-Type": "application/json"], body: body)
        let fields = WebhookSignature.headers(
            id: job.id.description, at: .now(), body: body, secrets: [settings.secret])
        for (name, value) in fields { request.headers.append(name, value) }
        request.timeout = settings.timeout
        request.connectTimeout = settings.timeout
        // The project's own configuration names the address, be it on this machine.
        request.refusesPrivateAddresses = false
        let status: Int
        do { status = try await client.send(request).status.code } catch {
            return .failed("the address cannot be reached: \(error.code.rawValue)")
        }
        switch status {
        case 200..<300: return .done
        // The receiver says that it will never want this one.
        case 410: return .hopeless("the address answered 410")
        default: return .failed("the address answered \(status)")
        }
    }
}
