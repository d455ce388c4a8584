// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The file in a request's body: the body itself, or the first file of a `multipart/form-data` form. Read at the writer's pace.
struct UploadBody {
    /// What the form said beside the file, as far as it was read.
    private(set) var fields: [String: String] = [:]
    /// The type the file came with.
    private(set) var contentType: String?
    /// The name the file had where it came from.
    private(set) var fileName: String?
    /// The file's length, where it is known before it is read.
    let announcedByteCount: Int?
    private var chunks: RequestBody.Chunks
    private var reader: MultipartReader?
    private var pending: [[UInt8]] = []
    private var isInFile = false
    private var sawFile = false
    private var field: (name: String, value: [UInt8])?

    /// The most bytes of all fields of a form, their names included, and the most fields.
    private static let maxFieldBytes = 2 << 20
    private static let maxFields = 1000
    private var fieldBytes = 0
    private var fieldCount = 0

    /// Reads a form up to its file.
    ///
    /// - Throws: ``StorageError`` for a malformed form or one without a file.
    init(_ request: HTTPRequest) async throws {
        chunks = request.body.chunks()
        let type = request.headers["content-type"]
        if let type, type.lowercased().hasPrefix("multipart/form-data") {
            guard let reader = MultipartReader(contentType: type) else {
                throw StorageError.invalid("The form has no boundary")
            }
            self.reader = reader
            announcedByteCount = nil
            try await readToFile()
        } else {
            reader = nil
            contentType = type
            announcedByteCount = request.body.announcedByteCount
        }
    }

    /// The file's next bytes; nil at its end. Fields behind the file are read with its end.
    mutating func next() async throws -> [UInt8]? {
        guard reader != nil else { return try await chunks.next() }
        while true {
            if !pending.isEmpty { return pending.removeFirst() }
            if !isInFile { return nil }
            try await feed()
        }
    }

    private mutating func readToFile() async throws {
        while !sawFile {
            if reader?.isDone == true { throw StorageError.invalid("No content provided") }
            try await feed()
        }
    }

    private mutating func feed() async throws {
        guard let piece = try await chunks.next() else {
            throw StorageError.invalid("The form ends before its closing boundary")
        }
        guard let events = try reader?.feed(piece) else { return }
        for event in events { try take(event) }
        // Fields may follow the file; they belong to it.
        while sawFile, !isInFile, reader?.isDone == false, let piece = try await chunks.next() {
            for event in try reader?.feed(piece) ?? [] { try take(event) }
        }
    }

    private mutating func take(_ event: MultipartReader.Event) throws(StorageError) {
        switch event {
        case .part(let part):
            // Browsers send a file without a name as `blob`, and a client may leave the name out but not the type.
            if !sawFile, part.fileName != nil || part.name.isEmpty || (part.name == "file" && part.contentType != nil) {
                sawFile = true
                isInFile = true
                contentType = part.contentType
                fileName = part.fileName
            } else {
                fieldCount += 1
                guard fieldCount <= Self.maxFields else { throw .invalid("The form has too many fields") }
                field = (part.name, [])
                try count(part.name.utf8.count)
            }
        case .data(let bytes):
            if field != nil {
                try count(bytes.count)
                field?.value += bytes
            } else if isInFile {
                pending.append(bytes)
            }
        case .endOfPart:
            if let field {
                fields[field.name] = String(decoding: field.value, as: UTF8.self)
                self.field = nil
            } else {
                isInFile = false
            }
        case .end: isInFile = false
        }
    }

    private mutating func count(_ bytes: Int) throws(StorageError) {
        fieldBytes += bytes
        guard fieldBytes <= Self.maxFieldBytes else {
            throw StorageError(.entityTooLarge, "The form's fields are too large")
        }
    }
}

/// What is known of an upload before its bytes.
struct UploadIntent: Sendable {
    var object: ObjectName
    /// Who will own the object.
    var ownerID: String?
    var replaces: Bool
    var contentType: String
    /// The value of `Cache-Control` that downloads carry.
    var cacheControl: String
    var userMetadata: JSON?
    /// What downloads tell search engines; nil for `none`.
    var robotsTag: String?
    /// Further header fields of downloads, by the names of ``ContentHeader``.
    var contentHeaders: [ContentHeader: String] = [:]
    /// The entity tag, without quotes, that the object must still have when it is replaced; `*` for any.
    var expectedTag: String?
    /// Nil when only the end will tell.
    var byteCount: Int?
    /// Sums to compute besides MD5.
    var digests: Set<ContentDigests.Algorithm> = []

    /// The object's metadata as its row keeps them.
    func metadata(byteCount: Int, entityTag: String, at time: Timestamp) -> JSON {
        var members: JSONObject = [
            "eTag": .string("\"\(entityTag)\""), "size": JSON(byteCount), "mimetype": .string(contentType),
            "cacheControl": .string(cacheControl), "lastModified": .string(time.description),
            "contentLength": JSON(byteCount), "httpStatusCode": 200,
        ]
        if let robotsTag { members["xRobotsTag"] = .string(robotsTag) }
        for (header, value) in contentHeaders { members[header.rawValue] = .string(value) }
        return .object(members)
    }

    /// The metadata that policies see while the upload is only asked for.
    var announcedMetadata: JSON {
        var members: JSONObject = ["mimetype": .string(contentType), "cacheControl": .string(cacheControl)]
        if let byteCount { members["size"] = JSON(byteCount) }
        return .object(members)
    }

    /// `max-age=3600` for a number of seconds, the text itself for anything else, `no-cache` for nothing.
    static func cacheControl(_ text: String?) -> String {
        guard let text, !text.isEmpty, text.utf8.count <= 1024 else { return "no-cache" }
        return text.utf8.allSatisfy { $0 &- 48 < 10 } ? "max-age=\(text)" : text
    }
}
