// SPDX-License-Identifier: Apache-2.0
package import EventLoop
internal import HTTPClient
package import Platform
package import Storage

/// Where a project's objects have their content: its folder, and the disk or the S3 service that its configuration names.
package struct ProjectFiles: Sendable {
    package let folder: LocalFolder
    package let store: any ObjectStore
    private let client: HTTPClient?

    /// Opens the folder, and makes it when it is not there. Blocks.
    ///
    /// - Parameter loops: where the store is used.
    package init(_ project: Project, loops: [Loop]) throws {
        let settings = project.configuration.atoll.storage
        let workers = try WorkerPool(threads: settings.workerThreads, maxQueued: settings.maxQueuedWork)
        folder = try LocalFolder(path: StorageConfiguration(project).folder, workers: workers)
        guard let endpoint = settings.s3.endpoint else {
            client = nil
            store = LocalStore(folder)
            return
        }
        guard let bucket = settings.s3.bucket, let key = settings.s3.accessKeyID,
            let secret = settings.s3.secretAccessKey
        else {
            throw ProjectError(
                "the S3 service that keeps files is not fully configured",
                next: "set `bucket`, `access_key_id` and `secret_access_key` under [atoll.storage.s3]")
        }
        var s3 = S3Store.Settings(
            endpoint: endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint, region: settings.s3.region,
            bucket: bucket, prefix: settings.s3.prefix, accessKeyID: key, secretAccessKey: secret)
        s3.timeout = settings.s3.timeout
        let client = try HTTPClient(loops: loops)
        store = S3Store(s3, client: client, folder: folder)
        self.client = client
    }

    /// Closes connections; to be called before the loops end.
    package func shutdown() async { await client?.shutdown() }
}
