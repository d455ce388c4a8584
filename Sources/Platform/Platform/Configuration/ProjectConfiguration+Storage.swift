// SPDX-License-Identifier: Apache-2.0
package import Primitives

extension ProjectConfiguration {
    /// `[atoll.storage]`
    package struct StorageFiles: ConfigurationSection {
        package var folder: String?
        package var workerThreads = 8
        package var maxQueuedWork = 1024
        package var maxBodyBytes = 4 << 20
        package var maxListEntries = 10_000
        package var uploadLifetime: Duration = .seconds(86_400)
        package var resumableLifetime: Duration = .seconds(3600)
        package var multipartLifetime: Duration = .seconds(86_400)
        package var signedUploadLifetime: Duration = .seconds(7200)
        package var sniffsTypes = true
        package var sweepInterval: Duration = .seconds(60)
        package var s3 = S3Service()
        package var images = Images()
        package var cdn = ContentDelivery()
        package var events = Events()

        package init() {}

        private static let lifetime = ConfigurationType.duration(.seconds(1)...(.seconds(366 * 86_400)))

        static var fields: [ConfigurationField<StorageFiles>] {
            Field.optional(
                "folder", \.folder, .text,
                "Where files are kept, and what is being received. Relative to `supabase/`; unset means `.atoll/storage` in the project's folder."
            )
            Field.key(
                "worker_threads", \.workerThreads, .integer(1...256),
                "Threads that read and write files, so that no loop waits for a disk.")
            Field.key(
                "max_queued_work", \.maxQueuedWork, .integer(1...1_000_000),
                "Pieces of work that may wait for those threads; beyond it requests get `SlowDown`.")
            Field.key(
                "max_body_size", \.maxBodyBytes, .size(1024...(1 << 30)),
                "The largest body of a request that carries no file.")
            Field.key(
                "max_list_entries", \.maxListEntries, .integer(1...1_000_000), "The most entries one listing returns.")
            Field.key(
                "upload_lifetime", \.uploadLifetime, lifetime,
                "How long an upload in one request may take, until it is taken for left behind.")
            Field.key(
                "resumable_lifetime", \.resumableLifetime, lifetime,
                "How long a resumable upload may be continued after it began.")
            Field.key(
                "multipart_lifetime", \.multipartLifetime, lifetime,
                "How long a multipart upload of the S3 protocol may be continued after it began.")
            Field.key(
                "signed_upload_lifetime", \.signedUploadLifetime, lifetime,
                "How long the address of a signed upload is valid.")
            Field.key(
                "sniff_types", \.sniffsTypes, .boolean,
                "Whether a bucket with allowed types refuses content whose first bytes prove another type than it is declared as."
            )
            Field.key(
                "sweep_interval", \.sweepInterval, .duration(.seconds(1)...(.seconds(86_400))),
                "How often uploads that nobody continues, and files of deleted objects, are looked for.")
            Field.section("images", \.images, "Bounds of `[storage.image_transformation]`.")
            Field.section("cdn", \.cdn, "A content delivery network in front of the server.")
            Field.section("events", \.events, "Whom changes of objects are told, such as a virus scan.")
            Field.section("s3", \.s3, "An S3 service that keeps the files, in place of the server's own disk.")
        }

        /// `[atoll.storage.images]`
        package struct Images: ConfigurationSection {
            package var maxInputBytes = 25 << 20
            package var maxInputPixels = 50_000_000
            package var maxSide = 2500
            package var maxMemoryBytes = 1 << 30
            package var timeout: Duration = .seconds(10)
            package var processes = 2
            package var maxQueued = 64
            package var cacheBytes = 256 << 20
            package var requestsPerPath = 0

            package init() {}

            static var fields: [ConfigurationField<Images>] {
                Field.key(
                    "max_input_size", \.maxInputBytes, .size(1024...(1 << 40)), "The largest file that is rendered.")
                Field.key(
                    "max_input_pixels", \.maxInputPixels, .integer(1...10_000_000_000),
                    "The most pixels of an image that is read, all its frames together.")
                Field.key("max_side", \.maxSide, .integer(1...65_535), "What wanted widths and heights are cut to.")
                Field.key(
                    "max_memory", \.maxMemoryBytes, .size((256 << 20)...(1 << 40)),
                    "The address space of the process that renders an image.")
                Field.key(
                    "timeout", \.timeout, .duration(.seconds(1)...(.seconds(600))), "How long one image may take.")
                Field.key("processes", \.processes, .integer(1...64), "Images rendered at a time, a process each.")
                Field.key(
                    "max_queued", \.maxQueued, .integer(1...100_000),
                    "Images that may wait for that; beyond it requests get `SlowDown`.")
                Field.key(
                    "cache_size", \.cacheBytes, .size(0...(1 << 50)),
                    "What rendered images may take on the disk; those unused for longest go first.")
                Field.key(
                    "requests_per_path", \.requestsPerPath, .integer(0...1_000_000),
                    "Requests a second for rendered images of one path; beyond it requests get `SlowDown`. 0 is no limit."
                )
            }
        }

        /// `[atoll.storage.cdn]`
        package struct ContentDelivery: ConfigurationSection {
            package var purgeURL: String?
            package var purgeKey: SecretString?

            package init() {}

            static var fields: [ConfigurationField<ContentDelivery>] {
                Field.optional(
                    "purge_url", \.purgeURL, .httpURL,
                    "Told by POST what is to be forgotten when the service key calls `DELETE /storage/v1/cdn/...`.")
                Field.optional("purge_key", \.purgeKey, .secret, "The bearer token for that.")
            }
        }

        /// `[atoll.storage.events]`
        package struct Events: ConfigurationSection {
            package var url: String?
            package var secret: SecretString?
            package var timeout: Duration = .seconds(10)

            package init() {}

            static var fields: [ConfigurationField<Events>] {
                Field.optional(
                    "url", \.url, .httpURL,
                    "Takes a signed POST (Standard Webhooks) for each object that is created, replaced, moved or removed, at least once."
                )
                Field.optional(
                    "secret", \.secret, .secret, "Signs them: `v1,whsec_` and 24 to 64 bytes in base 64.")
                Field.key(
                    "timeout", \.timeout, .duration(.seconds(1)...(.seconds(100))), "How long an answer may take.")
            }
        }

        /// `[atoll.storage.s3]`
        package struct S3Service: ConfigurationSection {
            package var endpoint: String?
            package var region = "us-east-1"
            package var bucket: String?
            package var prefix = ""
            package var accessKeyID: String?
            package var secretAccessKey: SecretString?
            package var timeout: Duration = .seconds(60)

            package init() {}

            static var fields: [ConfigurationField<S3Service>] {
                Field.optional(
                    "endpoint", \.endpoint, .httpURL,
                    "The service's address, such as `https://s3.eu-central-1.amazonaws.com`. Unset keeps files on the disk."
                )
                Field.key("region", \.region, .text, "The region that calls are signed for.")
                Field.optional("bucket", \.bucket, .text, "The bucket, which must exist.")
                Field.key(
                    "prefix", \.prefix, .text, "What stands in front of every name there, such as `production/`.")
                Field.optional("access_key_id", \.accessKeyID, .text, "The access key.")
                Field.optional("secret_access_key", \.secretAccessKey, .secret, "Its secret.")
                Field.key(
                    "timeout", \.timeout, .duration(.seconds(1)...(.seconds(3600))), "How long one call may take.")
            }
        }
    }
}
