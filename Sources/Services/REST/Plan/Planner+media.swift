// SPDX-License-Identifier: Apache-2.0

extension Planner {
    /// The form of an answer: its media type, and what makes the body where the service itself does not.
    struct Form {
        var media: MediaType
        var handler: MediaHandler?
    }

    /// The best of the accepted types that can be made.
    ///
    /// - Parameters:
    ///   - targets: the relation, the function, and the relation whose rows the function returns, where they are.
    /// - Throws: ``RESTError`` `mediaTypesUnavailable`.
    func form(for targets: [QualifiedName]) throws(RESTError) -> Form {
        for type in request.accepts {
            if let form = form(of: type, for: targets) { return form }
        }
        throw .mediaTypesUnavailable(request.accepts.map(\.name))
    }

    private func form(of type: MediaType, for targets: [QualifiedName]) -> Form? {
        switch type {
        // What has parameters of ours cannot be made by others.
        case .object, .strippedArray: return Form(media: type)
        case .plan(let inner, let asText, let options):
            guard configuration.showsPlans, let form = form(of: inner, for: targets) else { return nil }
            return Form(media: .plan(form.media, asText: asText, options: options), handler: form.handler)
        case .any, .json, .csv, .geoJSON, .openAPI, .form, .plainText, .xml, .octets, .other: break
        }
        if let handler = handler(of: type.name, for: targets) {
            return Form(media: handler.mediaType == .any ? .octets : handler.mediaType, handler: handler)
        }
        switch type {
        case .any, .json: return Form(media: .json)
        case .csv, .geoJSON: return Form(media: type)
        case .object, .strippedArray, .plan, .openAPI, .form, .plainText, .xml, .octets, .other: return nil
        }
    }

    /// A handler of the target's own takes whole rows, so it serves only where nothing is selected of them.
    private func handler(of name: String, for targets: [QualifiedName]) -> MediaHandler? {
        guard !cache.handlers.isEmpty else { return nil }
        if request.query.selectsEverything {
            for target in targets {
                if let handler = cache.handlers[.init(target: target, name: MediaHandler.anyType)]
                    ?? cache.handlers[.init(target: target, name: name)]
                {
                    return handler
                }
            }
        }
        return cache.handlers[.init(target: nil, name: name)]
    }

    /// The body of rows in that form.
    static func body(_ form: Form) -> Plan.Body {
        if let handler = form.handler {
            return handler.kind == .value ? .raw : .handled(handler)
        }
        return switch form.media.explained {
        case .object(let stripsNulls): .object(stripsNulls: stripsNulls)
        case .strippedArray: .array(stripsNulls: true)
        case .csv: .csv
        case .geoJSON: .geoJSON
        case .any, .json, .plan, .openAPI, .form, .plainText, .xml, .octets, .other: .array(stripsNulls: false)
        }
    }

    /// What has no geometry cannot be a feature; PostGIS says so of rows, and where there are none says nothing.
    func checkGeometry(_ plan: Plan) throws(RESTError) {
        guard case .geoJSON = plan.body, request.query.selectsEverything, !plan.read.columns.isEmpty else { return }
        let hasGeometry = plan.read.columns.contains { column in
            let name = column.baseType.split(separator: ".").last ?? ""
            return name.hasPrefix("geometry") || name.hasPrefix("geography")
        }
        guard !hasGeometry else { return }
        throw .database(
            .init(
                sqlState: "22023", message: "geometry column is missing", details: nil, hint: nil, isAnonymous: false))
    }
}
