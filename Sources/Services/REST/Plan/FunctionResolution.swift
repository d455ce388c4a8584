// SPDX-License-Identifier: Apache-2.0

/// Chooses among a function's overloads by what the request gives.
struct FunctionResolution {
    let cache: SchemaCache
    let request: APIRequest

    /// - Throws: ``RESTError`` `noFunction` or `ambiguousFunction`.
    func resolve(_ name: String, _ payload: Payload?) throws(RESTError) -> (Function, CallPlan.Arguments) {
        let overloads = cache.functions[QualifiedName(schema: request.schema, name: name)] ?? []
        let names = argumentNames(payload)
        let takesNames: Bool = if case .raw? = payload { false } else { true }
        let named = takesNames ? overloads.filter { accepts($0, names) } : []
        let candidates = named.isEmpty ? overloads.filter(takesWholeBody) : named
        switch candidates.count {
        case 1: return (candidates[0], arguments(candidates[0], payload, names))
        case 0: throw mismatch(name, names, overloads, takesNames: takesNames)
        default: throw .ambiguousFunction(candidates.map(Self.signature))
        }
    }

    private var isCalledWithBody: Bool { request.action == .call(readOnly: false) }

    private func argumentNames(_ payload: Payload?) -> Set<String> {
        switch payload {
        case .json(_, _, let keys, _)?: return Set(keys)
        case .form(let fields)?: return Set(fields.map(\.name))
        case .raw?, nil: break
        }
        return Set(request.query.arguments.map(\.name))
    }

    /// Whether the names are all parameters and all parameters without default are among them.
    private func accepts(_ function: Function, _ names: Set<String>) -> Bool {
        if function.unnamedParameter != nil { return false }
        let parameters = Set(function.parameters.map(\.name))
        let required = Set(function.parameters.lazy.filter { !$0.hasDefault && !$0.isVariadic }.map(\.name))
        return names.isSubset(of: parameters) && required.isSubset(of: names)
    }

    /// Whether the function's only parameter has no name and a type that the body has.
    private func takesWholeBody(_ function: Function) -> Bool {
        guard isCalledWithBody, let parameter = function.unnamedParameter else { return false }
        return switch request.contentType {
        case .json, .any: parameter.type == "json" || parameter.type == "jsonb"
        case .plainText: parameter.type == "text"
        case .xml: parameter.type == "xml"
        case .octets: parameter.type == "bytea"
        case .object, .strippedArray, .csv, .geoJSON, .plan, .openAPI, .form, .other: false
        }
    }

    private func arguments(_ function: Function, _ payload: Payload?, _ names: Set<String>) -> CallPlan.Arguments {
        if let parameter = function.unnamedParameter {
            switch payload {
            case .raw(let bytes)?: return .whole(bytes: bytes, parameter)
            case .json(let bytes, _, _, _)?: return .whole(bytes: bytes, parameter)
            case .form?, nil: return .texts([])
            }
        }
        let given = function.parameters.filter { names.contains($0.name) }
        if case .json(let bytes, let isArray, _, _)? = payload {
            return given.isEmpty ? .texts([]) : .members(bytes: bytes, isArray: isArray, given)
        }
        let texts: [QueryParameters.Argument] =
            if case .form(let fields)? = payload { fields } else { request.query.arguments }
        return .texts(
            given.map { parameter in
                let values = texts.filter { $0.name == parameter.name }.map(\.value)
                return (parameter, parameter.isVariadic ? values : Array(values.suffix(1)))
            })
    }

    private static func signature(_ function: Function) -> String {
        let parameters = function.parameters.map { "\($0.name) => \($0.type)" }.joined(separator: ", ")
        return "\(function.name.schema).\(function.name.name)(\(parameters))"
    }

    private func mismatch(
        _ name: String, _ names: Set<String>, _ overloads: [Function], takesNames: Bool
    ) -> RESTError {
        let unnamedType: String? =
            if isCalledWithBody {
                switch request.contentType {
                case .plainText: "text"
                case .xml: "xml"
                case .octets: "bytea"
                case .json, .any: "json/jsonb"
                case .object, .strippedArray, .csv, .geoJSON, .plan, .openAPI, .form, .other: nil
                }
            } else {
                nil
            }
        let sorted = names.sorted()
        return .noFunction(
            RESTError.FunctionMismatch(
                schema: request.schema, name: name, arguments: sorted, unnamedType: unnamedType,
                onlyUnnamed: !takesNames,
                suggestion: takesNames ? suggestion(name, names, overloads) : nil))
    }

    /// A function with a similar name; of overloads, the one whose list of parameters is most like the one given.
    private func suggestion(_ name: String, _ names: Set<String>, _ overloads: [Function]) -> String? {
        if overloads.isEmpty {
            return cache.similarFunction(to: name, in: request.schema).map { "\(request.schema).\($0)" }
        }
        func list(_ names: some Sequence<String>) -> String { "(\(names.sorted().joined(separator: ", ")))" }
        return Similarity.best(
            of: overloads.map { list($0.parameters.map(\.name)) }, to: list(names),
            threshold: Similarity.looseThreshold
        ).map { "\(request.schema).\(name)\($0)" }
    }
}
