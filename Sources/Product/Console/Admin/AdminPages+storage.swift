// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Buckets and the files in them.
extension AdminPages {
    func registerStorage(on router: inout Router) {
        page(.get, "/admin/storage", on: &router, buckets)
        page(.get, "/admin/storage/:bucket", on: &router) { visit, who in try await files(visit, who) }
        page(.get, "/admin/storage/:bucket/file", on: &router, download)
        page(.post, "/admin/storage/:bucket/delete", on: &router, deleteFile)
    }

    private static let pageSize = 100

    private func buckets(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let answer = await api.call(.get, "/storage/v1/bucket", as: who, for: visit.request)
        let buckets = answer.body?.arrayValue ?? []
        return visit.page(.storage, .admin(.storage), status: answer.isSuccess ? .ok : answer.pageStatus) {
            Components.heading(.of(.storage), .of(.storageText))
            if !answer.isSuccess { Components.notice(answer.phrase, isGood: false) }
            if buckets.isEmpty {
                Components.empty(.folder, .noBuckets, .noBucketsText)
            } else {
                Components.table(
                    .buckets, [.bucket, .access, .sizeLimit, .allowedTypes, .since],
                    rows: buckets.map { bucketRow($0) })
            }
        }
    }

    private func bucketRow(_ bucket: JSON) -> [Markup] {
        let id = bucket["id"]?.stringValue ?? ""
        let types = bucket["allowed_mime_types"]?.arrayValue?.compactMap(\.stringValue) ?? []
        return [
            Markup(.a, .href("/admin/storage/\(Console.segment(id))"), data: id),
            bucket["public"]?.boolValue == true
                ? Components.badge(.publicBucket, "warn") : Components.badge(.privateBucket, "good"),
            .data(bucket["file_size_limit"]?.intValue.map { Components.bytes($0) } ?? "–"),
            .data(types.isEmpty ? "–" : types.joined(separator: ", ")),
            Components.moment(bucket["created_at"]?.stringValue),
        ]
    }

    private func files(
        _ visit: Visit, _ who: Operator, problem: Phrase? = nil, status: HTTPStatus = .ok
    ) async throws -> HTTPResponse {
        let bucket = visit.request.parameters["bucket"] ?? ""
        let prefix = visit.query.first("prefix") ?? ""
        let page = visit.pageNumber
        let answer = await api.call(
            .post, "/storage/v1/object/list/\(Console.segment(bucket))", as: who,
            body: [
                "prefix": .string(prefix), "limit": JSON(Self.pageSize + 1), "offset": JSON((page - 1) * Self.pageSize),
                "sortBy": ["column": "name", "order": "asc"],
            ], for: visit.request)
        let entries = answer.body?.arrayValue ?? []
        if entries.isEmpty {
            let found = await api.call(
                .get, "/storage/v1/bucket/\(Console.segment(bucket))", as: who, for: visit.request)
            guard found.isSuccess else { throw PageRefusal(.notFound, .noSuchBucket) }
        }
        let path = "/admin/storage/\(Console.segment(bucket))"
        return visit.page(.words(bucket), .admin(.storage), status: answer.isSuccess ? status : answer.pageStatus) {
            Markup(.p, .class("back")) { Markup(.a, .href("/admin/storage"), text: .backToBuckets) }
            Components.heading(.words(prefix.isEmpty ? bucket : "\(bucket)/\(prefix)"))
            visit.notice
            if let problem { Components.notice(problem, isGood: false) }
            if !answer.isSuccess { Components.notice(answer.phrase, isGood: false) }
            if !prefix.isEmpty {
                Markup(.p) {
                    Markup(.a, .href(Self.address(path, Self.parent(of: prefix))), text: .folderAbove)
                }
            }
            if entries.isEmpty {
                Components.empty(.folder, .noFiles)
            } else {
                Components.table(
                    .files, [.name, .size, .kind, .changed, .action],
                    rows: entries.prefix(Self.pageSize).map { fileRow(visit, path, prefix, $0) })
            }
            Components.pager(Self.address(path, prefix), page: page, hasNext: entries.count > Self.pageSize)
        }
    }

    private static func address(_ path: String, _ prefix: String) -> String {
        prefix.isEmpty ? path : "\(path)?\(FormFields.encode([("prefix", prefix)]))"
    }

    private static func parent(of prefix: String) -> String {
        prefix.split(separator: "/").dropLast().joined(separator: "/")
    }

    private func fileRow(_ visit: Visit, _ path: String, _ prefix: String, _ entry: JSON) -> [Markup] {
        let name = entry["name"]?.stringValue ?? ""
        let whole = prefix.isEmpty ? name : "\(prefix)/\(name)"
        // What has no id is a folder: the beginning of other names.
        guard entry["id"]?.stringValue != nil else {
            return [
                Markup(.a, .href(Self.address(path, whole)), .class("folder")) {
                    Icon.folder.markup
                    Markup.data(name)
                }, .data("–"), .text(.folder), .nothing, .nothing,
            ]
        }
        return [
            Markup(.a, .href("\(path)/file?\(FormFields.encode([("name", whole)]))"), data: name),
            .data(entry["metadata"]?["size"]?.intValue.map { Components.bytes($0) } ?? "–"),
            .data(entry["metadata"]?["mimetype"]?.stringValue ?? "–"),
            Components.moment(entry["updated_at"]?.stringValue),
            Form.action(
                "\(path)/delete", .delete, "danger", token: visit.formToken, about: name, asks: .askDelete,
                ("name", whole), ("prefix", prefix)),
        ]
    }

    private static func object(_ bucket: String, _ name: String) -> String {
        "/storage/v1/object/\(Console.segment(bucket))/\(Console.encoded(name))"
    }

    /// Always as a download: what a tenant has stored must not run as a page of this server.
    private func download(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let bucket = visit.request.parameters["bucket"] ?? ""
        let name = visit.query.first("name") ?? ""
        var response = await api.fetch(.get, Self.object(bucket, name), token: nil, as: who, for: visit.request)
        guard response.status == .ok else { throw PageRefusal(.notFound, .noSuchFile) }
        note("file.download", who, visit, .field("bucket", bucket))
        let shown = name.split(separator: "/").last.map(String.init) ?? "file"
        response.headers.set(
            "Content-Disposition", "attachment; filename*=UTF-8''\(Console.segment(shown))")
        response.headers.set("Content-Security-Policy", "default-src 'none'; sandbox")
        response.headers.set("X-Content-Type-Options", "nosniff")
        response.headers.set("Cache-Control", "no-store")
        return response
    }

    private func deleteFile(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let bucket = visit.request.parameters["bucket"] ?? ""
        let answer = await api.call(
            .delete, Self.object(bucket, form.first("name") ?? ""), as: who, for: visit.request)
        guard answer.isSuccess else {
            return try await files(visit, who, problem: answer.phrase, status: answer.pageStatus)
        }
        note("file.delete", who, visit, .field("bucket", bucket))
        let address = Self.address("/admin/storage/\(Console.segment(bucket))", form.first("prefix") ?? "")
        return PageResponse.redirect("\(address)\(address.contains("?") ? "&" : "?")done=\(Message.fileDeleted)")
    }
}
