// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Images
internal import Platform
internal import Primitives

/// Images in another size or form. Row level security is asked as for the image itself; what was rendered once is kept under the
/// image's version, so that a changed image is never served from what is kept.
extension StorageService {
    func registerRendering(on router: inout Router) {
        guard renderer != nil else { return }
        let path = "\(Self.prefix)/render/image"
        router.on(.get, "\(path)/authenticated/:bucket/*key") { request in
            try await render(request, .principal(try principal(for: request)), .renderImage)
        }
        router.on(.get, "\(path)/public/:bucket/*key") { request in
            try await render(request, .everybody, .renderPublicImage)
        }
        router.on(.get, "\(path)/sign/:bucket/*key") { request in
            try await render(request, .address(try address(of: request)), .renderSignedImage)
        }
    }

    private func render(
        _ request: HTTPRequest, _ right: ReadingRight, _ operation: StorageOperation
    ) async throws -> HTTPResponse {
        guard let renderer, let limits = configuration.images else { throw HTTPError(.notFound) }
        let object = try object(request)
        try renderLimiter?.take(object)
        var transform =
            if case .address(let address) = right {
                try ImageTransform(address.transform, maxSide: limits.maxSide)
            } else {
                try ImageTransform(FormFields(query: request.query ?? ""), maxSide: limits.maxSide)
            }
        transform.negotiate(accept: request.headers["accept"])
        let facts = try await facts(object, right, operation, request)
        guard facts.byteCount <= limits.maxInputBytes else {
            throw StorageError(.invalidRequest, "The image is too large to be rendered")
        }
        let (file, type) = try await rendered(facts, transform, renderer)
        let tag = "\"\(Hex.encode(digest(Array((facts.version + transform.text).utf8)).prefix(16)))\""
        let representation = FileResponse.Representation(
            byteCount: file.byteCount, entityTag: tag, modifiedAt: facts.modifiedAt.map { Int($0.unixSeconds) },
            contentType: type)
        var response = FileResponse.make(for: request, representation, file: file)
        response.headers.append("Cache-Control", facts.cacheControl)
        response.headers.append("X-Robots-Tag", facts.robotsTag)
        response.headers.append("X-Transformations", transform.text)
        if transform.negotiatesFormat { response.headers.append("Vary", "Accept") }
        Self.finishDownload(&response, request)
        return response
    }

    /// The rendered file: the kept one, or one made now.
    private func rendered(
        _ facts: ObjectFacts, _ transform: ImageTransform, _ renderer: ImageRenderer
    ) async throws -> (file: OpenFile, type: String) {
        let key = LocalFolder.renderedName(facts.version, Hex.encode(digest(Array(transform.text.utf8)).prefix(16)))
        for format in ImageRequest.Format.allCases {
            guard let type = format.contentType,
                transform.request.format == .origin || transform.request.format == format
            else { continue }
            if let file = try await folder.openRendered("\(key).\(format.rawValue)") { return (file, type) }
        }
        let source = try await folder.source(of: facts, in: store)
        let made = "\(UUID.random()).new"
        let target = folder.renderedPath(made)
        do {
            let image = try await renderer.render(source.path, to: target, transform.request)
            if source.isTemporary { try await folder.remove([source.path]) }
            // Opened first: what is kept may be removed again at once, where the bound is small.
            guard let file = try await folder.openRendered(made), let type = image.format.contentType else {
                throw StorageError(.internalError, "Internal server error")
            }
            try await folder.keepRendered(target, as: "\(key).\(image.format.rawValue)")
            return (file, type)
        } catch {
            if source.isTemporary { try await folder.remove([source.path]) }
            throw Self.refusal(error)
        }
    }

    private static func refusal(_ error: any Error) -> any Error {
        guard let error = error as? ImageError else { return error }
        switch error {
        case .unreadable:
            return StorageError(.invalidRequest, "The object is no image that can be rendered", cause: error)
        case .tooLarge: return StorageError(.invalidRequest, "The image has too many pixels", cause: error)
        case .failed:
            return StorageError(
                .invalidRequest, "The image could not be rendered within its bounds", status: .unprocessableContent,
                cause: error)
        case .overloaded: return StorageError(.slowDown, "Too many images are being rendered", cause: error)
        case .noLibrary: return StorageError(.internalError, "Internal server error", cause: error)
        }
    }
}
