// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Storage

extension StorageConfiguration {
    /// What `[storage]` and `[atoll.storage]` of a project say.
    init(_ project: Project) {
        let storage = project.configuration.storage
        let files = project.configuration.atoll.storage
        self.init(
            folder: files.folder.map(project.path) ?? "\(project.stateFolder)/storage",
            publicURL: "\(project.apiURL)/storage/v1")
        maxObjectBytes = storage.fileSizeLimitBytes
        maxBodyBytes = files.maxBodyBytes
        maxListEntries = files.maxListEntries
        uploadLifetime = files.uploadLifetime
        resumableLifetime = files.resumableLifetime
        multipartLifetime = files.multipartLifetime
        signedUploadLifetime = files.signedUploadLifetime
        sniffsTypes = files.sniffsTypes
        sweepInterval = files.sweepInterval
        if storage.s3Protocol.enabled {
            s3 = S3(
                accessKeyID: project.secrets.s3AccessKeyID, secretAccessKey: project.secrets.s3SecretAccessKey,
                projectName: project.configuration.projectID, anonKey: project.secrets.anonKey)
        }
        if storage.imageTransformation.enabled {
            var bounds = Images()
            bounds.maxInputBytes = files.images.maxInputBytes
            bounds.maxSide = files.images.maxSide
            bounds.cacheBytes = files.images.cacheBytes
            bounds.requestsPerPath = files.images.requestsPerPath
            images = bounds
        }
        announcesChanges = files.events.url != nil
        if let url = files.cdn.purgeURL {
            purging = Purging(url: url, key: files.cdn.purgeKey, projectName: project.configuration.projectID)
        }
    }
}
