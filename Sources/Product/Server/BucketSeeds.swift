// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import HTTP
internal import Platform
internal import Primitives
internal import Processes
internal import Storage

/// The buckets of `[storage.buckets]`, made and filled at the start through Storage's own routes. What is there already stays.
struct BucketSeeds: Sendable {
    private let project: Project
    private let folder: LocalFolder
    private let router: Router
    private let log: Log

    /// How deep below `objects_path` files are looked for.
    private static let maxDepth = 16
    private static let types = [
        "html": "text/html", "css": "text/css", "js": "text/javascript", "json": "application/json",
        "txt": "text/plain",
        "md": "text/markdown", "csv": "text/csv", "xml": "application/xml", "pdf": "application/pdf",
        "zip": "application/zip", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
        "webp": "image/webp", "avif": "image/avif", "svg": "image/svg+xml", "ico": "image/x-icon", "mp3": "audio/mpeg",
        "wav": "audio/wav", "ogg": "audio/ogg", "webm": "video/webm", "mp4": "video/mp4", "woff2": "font/woff2",
    ]

    init(_ project: Project, folder: LocalFolder, router: Router, log: Log) {
        self.project = project
        self.folder = folder
        self.router = router
        self.log = log
    }

    /// Makes and fills the buckets. What fails is logged, and keeps nothing else from being done.
    func run() async {
        for (name, bucket) in project.configuration.storage.buckets.sorted(by: { $0.key < $1.key }) {
            var body: JSONObject = ["id": .string(name), "name": .string(name)]
            if let isPublic = bucket.isPublic { body["public"] = .bool(isPublic) }
            if let limit = bucket.fileSizeLimitBytes { body["file_size_limit"] = JSON(limit) }
            if !bucket.allowedMIMETypes.isEmpty {
                body["allowed_mime_types"] = .array(bucket.allowedMIMETypes.map(JSON.string))
            }
            await send(.post, "/bucket", JSON.object(body).encoded(), type: "application/json")
            guard let path = bucket.objectsPath else { continue }
            await fill(name, from: project.path(path), below: "", depth: 0)
        }
    }

    private func fill(_ bucket: String, from path: String, below prefix: String, depth: Int) async {
        for entry in FileSystem.entries(of: path).sorted() where entry.first != "." {
            let file = "\(path)/\(entry)"
            guard let attributes = FileSystem.attributes(file, followLinks: false) else { continue }
            if attributes.isFolder {
                if depth < Self.maxDepth {
                    await fill(bucket, from: file, below: "\(prefix)\(entry)/", depth: depth + 1)
                }
                continue
            }
            do {
                let limit = project.configuration.storage.fileSizeLimitBytes
                let bytes = try await folder.contents(of: file, upTo: limit)
                let dot = entry.lastIndex(of: ".").map { entry[entry.index(after: $0)...].lowercased() } ?? ""
                await send(
                    .post, "/object/\(Self.encoded(bucket))/\(Self.encoded(prefix + entry))", bytes,
                    type: Self.types[dot] ?? "application/octet-stream")
            } catch {
                log.warning(
                    "a file of a bucket was not read", .field("file", file),
                    .field("cause", String(describing: error)))
            }
        }
    }

    private func send(_ method: HTTPMethod, _ path: String, _ body: [UInt8], type: String) async {
        guard let loop = Loop.current else { return }
        let headers: HTTPHeaders = ["apikey": project.secrets.secretKey.reveal(), "Content-Type": type]
        let response = await router.respond(
            to: HTTPRequest(method, "/storage/v1\(path)", headers: headers, body: body, id: "bucket-seeds", loop: loop))
        guard response.status.code >= 400, case .bytes(let bytes) = response.body,
            let error = try? JSON(parsing: bytes), error["error"]?.stringValue != "Duplicate"
        else { return }
        log.warning(
            "a bucket of the configuration was not made or filled", .field("path", path),
            .field("message", error["message"]?.stringValue ?? ""))
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            let character = Character(Unicode.Scalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~/".contains(character) {
                encoded.append(character)
            } else {
                encoded += "%" + Hex.encode([byte]).uppercased()
            }
        }
    }
}
