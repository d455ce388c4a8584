// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import HTTPClient
internal import Images
internal import Platform
internal import Postgres
internal import Primitives
internal import Processes
internal import Storage

extension Services {
    /// Storage with the project's files.
    static func storage(
        _ project: Project, _ files: ProjectFiles, requests: Database, owner: Database, access: AccessControl,
        client: HTTPClient, log: Log
    ) throws -> StorageService {
        StorageService(
            configuration: StorageConfiguration(project), requests: requests, owner: owner, access: access,
            signingSecret: project.secrets.jwtSecret, folder: files.folder, store: files.store,
            renderer: try renderer(project), client: client, log: log)
    }

    /// Tells the project's address of changes; nil where there is none.
    static func storageEvents(_ project: Project, client: HTTPClient, log: Log) throws -> StorageEvents? {
        let events = project.configuration.atoll.storage.events
        guard let url = events.url else { return nil }
        guard let secret = events.secret,
            let settings = StorageEvents.Settings(url: url, secret: secret, timeout: events.timeout)
        else {
            throw ProjectError(
                "the address for events of Storage has no secret to sign with",
                next: "set `secret` under [atoll.storage.events] to `v1,whsec_` and 24 to 64 bytes in base 64")
        }
        return StorageEvents(settings, client: client, log: log)
    }

    /// Renders with this program's own command, in a process for each image.
    private static func renderer(_ project: Project) throws -> ImageRenderer? {
        guard project.configuration.storage.imageTransformation.enabled else { return nil }
        let settings = project.configuration.atoll.storage.images
        guard let program = FileSystem.readLink("/proc/self/exe") else {
            throw ProjectError("cannot find this program", next: "see whether /proc is mounted")
        }
        var limits = ImageLimits()
        limits.maxPixels = settings.maxInputPixels
        limits.maxMemoryBytes = settings.maxMemoryBytes
        limits.timeout = settings.timeout
        return ImageRenderer(
            program: program, command: "render", limits: limits,
            workers: try WorkerPool(threads: settings.processes, maxQueued: settings.maxQueued))
    }
}
