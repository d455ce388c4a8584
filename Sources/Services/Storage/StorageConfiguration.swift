// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// The bounds of Storage and where it keeps files.
package struct StorageConfiguration: Sendable {
    /// The folder of files and of what is being received, absolute.
    package var folder: String
    /// The address of the service as clients see it, such as `http://127.0.0.1:54321/storage/v1`.
    package var publicURL: String
    /// The largest object where its bucket says nothing, in bytes.
    package var maxObjectBytes = 50 << 20
    /// The largest body of a request that carries no file, in bytes.
    package var maxBodyBytes = 4 << 20
    /// The most bytes of an object's user metadata.
    package var maxUserMetadataBytes = 1 << 20
    /// The most entries one listing returns.
    package var maxListEntries = 10_000
    /// The most objects one request names.
    package var maxNamesPerRequest = 1000
    /// How long an upload in one request may take, until its file is taken for left behind.
    package var uploadLifetime: Duration = .seconds(86_400)
    /// How long a resumable or multipart upload may be continued.
    package var resumableLifetime: Duration = .seconds(3600)
    package var multipartLifetime: Duration = .seconds(86_400)
    /// How long the address of a signed upload is valid.
    package var signedUploadLifetime: Duration = .seconds(7200)
    /// The longest life of a signed address.
    package var maxSignedLifetime: Duration = .seconds(10 * 365 * 86_400)
    /// Whether the content of a file must not contradict the types its bucket allows.
    package var sniffsTypes = true
    /// Bytes of an upload that are gathered before they are written.
    package var writeBytes = 256 << 10
    /// How often left-behind files are looked for.
    package var sweepInterval: Duration = .seconds(60)
    /// The S3 protocol; nil does not serve it.
    package var s3: S3?
    /// Image rendering; nil does not serve it.
    package var images: Images?
    /// Whether changes of objects are announced; see ``StorageEvents``.
    package var announcesChanges = false
    /// A content delivery network in front of this server; nil for none.
    package var purging: Purging?

    package init(folder: String, publicURL: String) {
        self.folder = folder
        self.publicURL = publicURL
    }

    /// The S3 protocol's credentials.
    package struct S3: Sendable {
        package var region = "local"
        package var accessKeyID: String
        package var secretAccessKey: SecretString
        /// The access key and the secret of a session-token credential: the project's name and the `anon` key.
        package var projectName: String
        package var anonKey: SecretString
        /// The smallest part of a multipart upload but the last, in bytes.
        package var minPartBytes = 5 << 20
        /// How far a request's date may be from the server's clock.
        package var clockSkew: Duration = .seconds(900)

        package init(
            accessKeyID: String, secretAccessKey: SecretString, projectName: String, anonKey: SecretString
        ) {
            self.accessKeyID = accessKeyID
            self.secretAccessKey = secretAccessKey
            self.projectName = projectName
            self.anonKey = anonKey
        }
    }

    /// Whom to tell that what a content delivery network keeps is to be forgotten.
    package struct Purging: Sendable {
        /// Takes a POST with `{"tenant": {"ref"}, "bucketId", "objectName", "transformations"}`.
        package var url: String
        /// Its bearer token.
        package var key: SecretString?
        package var projectName: String
        package var timeout: Duration = .seconds(10)

        package init(url: String, key: SecretString?, projectName: String) {
            self.url = url
            self.key = key
            self.projectName = projectName
        }
    }

    /// The bounds of image rendering that are Storage's own.
    package struct Images: Sendable {
        /// The largest file that is rendered, in bytes.
        package var maxInputBytes = 25 << 20
        /// What wanted widths and heights are cut to, in pixels.
        package var maxSide = 2500
        /// What rendered images may take on the disk, in bytes.
        package var cacheBytes = 256 << 20
        /// How many requests of one path are answered a second; zero is no limit.
        package var requestsPerPath = 0

        package init() {}
    }
}
