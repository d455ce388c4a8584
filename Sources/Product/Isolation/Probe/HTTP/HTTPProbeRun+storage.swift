// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// A file of the other's that attempts are made on.
struct ProbeFile {
    let bucket: Catalog.Bucket
    let folder: String
    /// In messages: whose folder of which bucket.
    let title: String
    /// The name of the file in the folder.
    let name: String

    var key: String { "\(folder)/\(name)" }
    var type: String {
        let first = bucket.mimeTypes.first ?? "text/plain"
        return first.hasSuffix("/*") ? "\(first.dropLast())plain" : first
    }
    func path(_ prefix: String) -> String { path(prefix, key) }
    func path(_ prefix: String, _ key: String) -> String {
        let parts = key.split(separator: "/").map { encoded(String($0)) }.joined(separator: "/")
        return "/storage/v1/\(prefix)/\(encoded(bucket.id))/\(parts)"
    }
}

extension HTTPProbeRun {
    /// Files of each bucket, in the folders that policies usually know their owners by.
    mutating func crossStorage() async throws {
        guard catalog.relation("storage", "objects") != nil else { return }
        let status = try await send(ProbeRequest(.get, "/storage/v1/status", as: .visitor))
        guard status.status != 404 else {
            isUnserved("storage")
            return
        }
        for (index, bucket) in catalog.buckets.enumerated() {
            try progress.step("storage", index, of: catalog.buckets.count)
            for (word, folder) in [
                ("user", other.tenant.userID.description), ("tenant", other.tenant.tenantID.description),
            ] {
                let file = ProbeFile(
                    bucket: bucket, folder: folder, title: "bucket \(bucket.id), \(word) folder",
                    name: "\(other.tenant.marker).txt")
                try await cross(file, word)
            }
        }
        try await crossBuckets()
    }

    /// Puts the other's file in its place, by itself where it may.
    private func plant(_ file: ProbeFile) async throws -> Bool {
        let exists =
            "select 1 from storage.objects where bucket_id = \(quoteLiteral(file.bucket.id)) and name = \(quoteLiteral(file.key)) and owner_id = \(quoteLiteral(other.tenant.userID.description))"
        if await value(exists) != nil { return true }
        let content = Array("\(other.mark) is what this file says\n".utf8)
        for caller in [ProbeRequest.Caller.member(other), .service] {
            let request = ProbeRequest(.post, file.path("object"), as: caller).with("content-type", file.type)
                .with("x-upsert", "true").bytes(content)
            if try await send(request).isSuccess {
                if case .service = caller {
                    let owner = quoteLiteral(other.tenant.userID.description)
                    _ = await run(
                        "update storage.objects set owner_id = \(owner), owner = \(owner)::uuid where bucket_id = \(quoteLiteral(file.bucket.id)) and name = \(quoteLiteral(file.key))"
                    )
                }
                return true
            }
        }
        return false
    }

    private func version(_ file: ProbeFile) async -> String? {
        await value(
            "select xmin::text || ctid::text from storage.objects where bucket_id = \(quoteLiteral(file.bucket.id)) and name = \(quoteLiteral(file.key))"
        )
    }

    private mutating func cross(_ file: ProbeFile, _ word: String) async throws {
        guard try await plant(file) else {
            untried("storage", file.title, .read, "the bucket took no file of the probe's")
            return
        }
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            try await list(file, caller)
            if !file.bucket.isPublic { try await download(file, caller) }
            try await sign(file, caller)
            try await upload(file, caller)
            try await overwrite(file, caller)
            try await transfer(file, caller, word)
            try await resume(file, caller)
            try await remove(file, caller)
        }
        try await crossSignedAddresses(file, word)
        try await crossS3(file)
    }

    private mutating func list(_ file: ProbeFile, _ caller: ProbeRequest.Caller) async throws {
        let id = encoded(file.bucket.id)
        let limits: JSONObject = ["limit": 1000, "offset": 0]
        for prefix in ["\(file.folder)/", ""] {
            var body = limits
            body["prefix"] = .string(prefix)
            for path in ["/storage/v1/object/list/\(id)", "/storage/v1/object/list-v2/\(id)"] {
                try await attempt(
                    "storage", file.title, .list, ProbeRequest(.post, path, as: caller).json(.object(body))
                ) { _ in false }
            }
        }
    }

    private mutating func download(_ file: ProbeFile, _ caller: ProbeRequest.Caller) async throws {
        let requests = [
            "object", "object/authenticated", "object/public", "object/info", "object/info/authenticated",
            "object/info/public", "render/image/authenticated", "render/image/public",
        ].map { ProbeRequest(.get, file.path($0), as: caller) }
        // One row behind: a part and the whole, and what a cache would be asked.
        let partial = ProbeRequest(.get, file.path("object"), as: caller)
        try await attempt(
            "storage", file.title, .read,
            all: requests + [
                partial.with("range", "bytes=0-3"), partial.with("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ]
        ) { $0.isSuccess }
        try await attempt("storage", file.title, .count, ProbeRequest(.head, file.path("object"), as: caller)) {
            $0.isSuccess
        }
    }

    private mutating func sign(_ file: ProbeFile, _ caller: ProbeRequest.Caller) async throws {
        if !file.bucket.isPublic {
            let one = ProbeRequest(.post, file.path("object/sign"), as: caller).json(["expiresIn": 60])
            try await attempt("storage", file.title, .sign, one) { $0.isSuccess }
            let many = ProbeRequest(.post, "/storage/v1/object/sign/\(encoded(file.bucket.id))", as: caller)
                .json(["expiresIn": 60, "paths": [.string(file.key)]])
            try await attempt("storage", file.title, .sign, many) { answer in
                (answer.json.arrayValue ?? []).contains { ($0["signedURL"]?.stringValue ?? "") != "" }
            }
        }
        let forged = file.path("object/upload/sign", "\(file.folder)/forged-\(mine.tenant.marker).txt")
        try await attempt("storage", file.title, .sign, ProbeRequest(.post, forged, as: caller).json([:])) {
            $0.isSuccess
        }
    }

    private mutating func upload(_ file: ProbeFile, _ caller: ProbeRequest.Caller) async throws {
        let forged = "\(file.folder)/forged-\(mine.tenant.marker).txt"
        for (method, upsert) in [(HTTPMethod.post, "false"), (.post, "true"), (.put, "false")] {
            let request = ProbeRequest(method, file.path("object", forged), as: caller).with("content-type", file.type)
                .with("x-upsert", upsert).bytes(Array("forged".utf8))
            let found = try await attempt("storage", file.title, .insert, request) { $0.isSuccess }
            if found.isLeak { try await discard(file, forged) }
        }
    }

    private mutating func overwrite(_ file: ProbeFile, _ caller: ProbeRequest.Caller) async throws {
        for (method, upsert, action) in [(HTTPMethod.post, "true", Crossing.Action.upsert), (.put, "true", .update)] {
            let request = ProbeRequest(method, file.path("object"), as: caller).with("content-type", file.type)
                .with("x-upsert", upsert).bytes(Array("overwritten".utf8))
            try await watch(file, action, request)
        }
    }

    /// An attempt that leaks where the other's file is not what it was.
    private mutating func watch(
        _ file: ProbeFile, _ action: Crossing.Action, _ request: ProbeRequest, channel: String = "storage"
    ) async throws {
        let before = await version(file)
        let run = self
        let found = try await attempt(channel, file.title, action, request) { _ in await run.version(file) != before }
        if found.isLeak { _ = try await plant(file) }
    }

    private func discard(_ file: ProbeFile, _ key: String) async throws {
        _ = try await send(
            ProbeRequest(.delete, "/storage/v1/object/\(encoded(file.bucket.id))", as: .service).json([
                "prefixes": [.string(key)]
            ]))
    }

    /// The other's file into one's own folder, and one's own into the other's.
    private mutating func transfer(_ file: ProbeFile, _ caller: ProbeRequest.Caller, _ word: String) async throws {
        let folder = word == "user" ? mine.tenant.userID.description : mine.tenant.tenantID.description
        let stolen = "\(folder)/stolen-\(mine.tenant.marker).txt"
        func body(_ source: String, _ target: String) -> JSON {
            ["bucketId": .string(file.bucket.id), "sourceKey": .string(source), "destinationKey": .string(target)]
        }
        // What a public bucket holds may be had by its address anyway.
        if !file.bucket.isPublic {
            let copy = ProbeRequest(.post, "/storage/v1/object/copy", as: caller).json(body(file.key, stolen))
            if try await attempt("storage", file.title, .copy, copy, leaked: { $0.isSuccess }).isLeak {
                try await discard(file, stolen)
            }
        }
        let move = ProbeRequest(.post, "/storage/v1/object/move", as: caller).json(body(file.key, stolen))
        try await watch(file, .move, move)
        try await discard(file, stolen)
        guard case .member(let session) = caller else { return }
        let source = "\(folder)/\(mine.tenant.marker).txt"
        let uploaded = try await send(
            ProbeRequest(.post, file.path("object", source), as: session).with("content-type", file.type)
                .with("x-upsert", "true").bytes(Array("mine".utf8)))
        guard uploaded.isSuccess else { return }
        let target = "\(file.folder)/given-\(mine.tenant.marker).txt"
        for (path, action) in [("copy", Crossing.Action.copy), ("move", .move)] {
            let request = ProbeRequest(.post, "/storage/v1/object/\(path)", as: caller).json(body(source, target))
            if try await attempt("storage", file.title, action, request, leaked: { $0.isSuccess }).isLeak {
                try await discard(file, target)
            }
        }
    }

    private mutating func remove(_ file: ProbeFile, _ caller: ProbeRequest.Caller) async throws {
        try await watch(file, .delete, ProbeRequest(.delete, file.path("object"), as: caller))
        let many = ProbeRequest(.delete, "/storage/v1/object/\(encoded(file.bucket.id))", as: caller)
        try await watch(file, .delete, many.json(["prefixes": [.string(file.key)]]))
    }

    /// Addresses that were signed for one's own file, used on the other's.
    private mutating func crossSignedAddresses(_ file: ProbeFile, _ word: String) async throws {
        let folder = word == "user" ? mine.tenant.userID.description : mine.tenant.tenantID.description
        let source = "\(folder)/\(mine.tenant.marker).txt"
        let uploaded = try await send(
            ProbeRequest(.post, file.path("object", source), as: mine).with("content-type", file.type)
                .with("x-upsert", "true").bytes(Array("mine".utf8)))
        guard uploaded.isSuccess else { return }
        let read = try await send(
            ProbeRequest(.post, file.path("object/sign", source), as: mine).json(["expiresIn": 60]))
        if let token = Self.token(read.json["signedURL"]) {
            for prefix in ["object/sign", "render/image/sign", "object/info/sign"] {
                let request = ProbeRequest(.get, "\(file.path(prefix))?token=\(token)", as: .nobody)
                try await attempt("storage", file.title, .forge, request) { $0.isSuccess }
            }
            let write = ProbeRequest(.put, "\(file.path("object/upload/sign"))?token=\(token)", as: .nobody)
            try await watch(file, .forge, write.with("content-type", file.type).bytes(Array("forged".utf8)))
        }
        let target = "\(folder)/new-\(mine.tenant.marker).txt"
        let signed = try await send(ProbeRequest(.post, file.path("object/upload/sign", target), as: mine).json([:]))
        if let token = Self.token(signed.json["url"]) {
            let write = ProbeRequest(.put, "\(file.path("object/upload/sign"))?token=\(token)", as: .nobody)
            try await watch(
                file, .forge, write.with("content-type", file.type).with("x-upsert", "true").bytes(Array("forged".utf8))
            )
        }
    }

    private static func token(_ address: JSON?) -> String? {
        guard let text = address?.stringValue, let query = text.split(separator: "?").last else { return nil }
        return FormFields(query: String(query)).first("token")
    }

    /// A bucket that is nobody's among the two: neither may change, empty or remove it.
    private mutating func crossBuckets() async throws {
        let id = "bucket-\(other.tenant.marker)"
        let made = try await send(
            ProbeRequest(.post, "/storage/v1/bucket", as: .service).json([
                "id": .string(id), "name": .string(id), "public": false,
            ]))
        guard made.isSuccess else {
            untried("storage", "buckets", .update, "no bucket could be made: the server answered \(made.status)")
            return
        }
        let exists = "select public::text from storage.buckets where id = \(quoteLiteral(id))"
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            for (action, request) in [
                (
                    Crossing.Action.update,
                    ProbeRequest(.put, "/storage/v1/bucket/\(id)", as: caller).json([
                        "id": .string(id), "name": .string(id), "public": true,
                    ])
                ),
                (.delete, ProbeRequest(.post, "/storage/v1/bucket/\(id)/empty", as: caller)),
                (.delete, ProbeRequest(.delete, "/storage/v1/bucket/\(id)", as: caller)),
            ] {
                let run = self
                try await attempt(
                    "storage", "buckets", action, request,
                    fix: "Name the bucket's owner in the policies on storage.buckets, or leave them out."
                ) { answer in
                    let now = await run.value(exists)
                    return now != "false" || (request.path.hasSuffix("/empty") && answer.isSuccess)
                }
            }
        }
    }

    // MARK: Resumable uploads

    private mutating func resume(_ file: ProbeFile, _ caller: ProbeRequest.Caller) async throws {
        func create(_ key: String, _ caller: ProbeRequest.Caller) -> ProbeRequest {
            let metadata = [("bucketName", file.bucket.id), ("objectName", key), ("contentType", file.type)].map {
                "\($0.0) \(Base64.encode(Array($0.1.utf8)))"
            }.joined(separator: ",")
            return ProbeRequest(.post, "/storage/v1/upload/resumable", as: caller).with("tus-resumable", "1.0.0")
                .with("upload-length", "6").with("upload-metadata", metadata).with("x-upsert", "true")
        }
        let into = create("\(file.folder)/forged-\(mine.tenant.marker).txt", caller)
        let first = try await attempt("tus", file.title, .insert, into) { $0.isSuccess }
        if first.answer.status == 404 { return }
        if first.isLeak, let place = Self.place(first.answer) {
            _ = try await send(ProbeRequest(.delete, place, as: caller).with("tus-resumable", "1.0.0"))
        }
        try await attempt("tus", file.title, .upsert, create(file.key, caller)) { $0.isSuccess }
        // An upload that the other has under way.
        let begun = try await send(create("\(file.folder)/later-\(other.tenant.marker).txt", .member(other)))
        guard begun.isSuccess, let place = Self.place(begun) else { return }
        for (action, request) in [
            (Crossing.Action.count, ProbeRequest(.head, place, as: caller)),
            (
                .update,
                ProbeRequest(.patch, place, as: caller).with("upload-offset", "0").with(
                    "content-type", "application/offset+octet-stream"
                ).bytes(Array("forged".utf8))
            ),
            (.delete, ProbeRequest(.delete, place, as: caller)),
        ] {
            try await attempt("tus", file.title, action, request.with("tus-resumable", "1.0.0")) { $0.isSuccess }
        }
        _ = try await send(ProbeRequest(.delete, place, as: other).with("tus-resumable", "1.0.0"))
    }

    /// The path of `Location`.
    private static func place(_ answer: ProbeAnswer) -> String? {
        guard let location = answer.headers["location"], let start = location.firstRange(of: "/storage/v1") else {
            return nil
        }
        return String(location[start.lowerBound...])
    }
}
