// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What a step did, as JSON for people. Holds no key.
typealias SetupDetail = JSONObject

/// What a person asks of their set-up. Kept sealed until it is done, as it holds keys.
struct SetupInput: Sendable {
    /// A new value for members of the profile.
    var profile: JSONObject = [:]
    /// Third-party keys by service.
    var keys: [String: SecretString] = [:]
    /// The steps to go on without.
    var skipped: Set<SetupStep> = []
    /// Members of the tenant's preferences.
    var preferences: JSONObject = [:]
    /// The isolation mode to change to.
    var isolation: String?

    /// What stands for a service's name in the seal of an input; no service can have it.
    static let sealName = "/setup"

    var isEmpty: Bool {
        profile.isEmpty && keys.isEmpty && skipped.isEmpty && preferences.isEmpty && isolation == nil
    }

    init() {}

    /// - Throws: ``TenancyError`` with `invalidRequest`.
    init(_ body: JSONObject, _ configuration: TenancyConfiguration) throws(TenancyError) {
        for (name, value) in body {
            switch name {
            case "profile":
                profile = try ProfileChange(RequestObject(members: try Self.object(value, name))).members
                guard profile[ProfileChange.flag] == nil else {
                    throw TenancyError(.invalidRequest, "setup_completed is set by the set-up itself")
                }
            case "keys": keys = try Self.keys(value, configuration)
            case "skip": skipped = try Self.steps(value)
            case "preferences":
                preferences = try Self.object(value, name)
                guard !value.holdsNUL else {
                    throw TenancyError(.invalidRequest, "preferences must not hold a NUL")
                }
            case "isolation":
                guard let mode = value.stringValue, ["shared", "schema"].contains(mode) else {
                    throw TenancyError(.invalidRequest, "isolation must be shared or schema")
                }
                isolation = mode
            default:
                throw TenancyError(
                    .invalidRequest, "Only profile, keys, skip, preferences and isolation are known")
            }
        }
    }

    private static func object(_ value: JSON, _ name: String) throws(TenancyError) -> JSONObject {
        guard let members = value.objectValue else {
            throw TenancyError(.invalidRequest, "\(name) must be an object")
        }
        return members
    }

    /// An empty key is one that was left out of a form.
    private static func keys(
        _ value: JSON, _ configuration: TenancyConfiguration
    ) throws(TenancyError) -> [String: SecretString] {
        var keys: [String: SecretString] = [:]
        for (name, value) in try object(value, "keys") {
            let service = try ServiceName(name).text
            guard let text = value.stringValue else {
                throw TenancyError(.invalidRequest, "the key of \(service) must be a text")
            }
            if let key = try GivenKey(text, "the key of \(service)", configuration).secret { keys[service] = key }
        }
        guard keys.count <= configuration.setup.maxKeys else {
            throw TenancyError(.invalidRequest, "at most \(configuration.setup.maxKeys) keys are taken at once")
        }
        return keys
    }

    private static func steps(_ value: JSON) throws(TenancyError) -> Set<SetupStep> {
        var steps: Set<SetupStep> = []
        for element in value.arrayValue ?? [value] {
            guard let step = element.stringValue.flatMap(SetupStep.init(rawValue:)), step.isOptional else {
                throw TenancyError(.invalidRequest, "only api_keys can be skipped")
            }
            steps.insert(step)
        }
        return steps
    }

    /// The steps that this gives new work to.
    var steps: [SetupStep] {
        var steps: [SetupStep] = []
        if !profile.isEmpty { steps.append(.profile) }
        if !keys.isEmpty { steps.append(.apiKeys) }
        if isolation != nil { steps.append(.schema) }
        if !preferences.isEmpty { steps.append(.settings) }
        return steps
    }

    /// Adds a later request's; of two values the later one counts.
    mutating func merge(_ other: SetupInput) {
        for (name, value) in other.profile { profile[name] = value }
        for (name, value) in other.preferences { preferences[name] = value }
        keys.merge(other.keys) { _, later in later }
        if !other.keys.isEmpty { skipped.remove(.apiKeys) }
        skipped.formUnion(other.skipped)
        // Who goes on without keys does not want those that did not work.
        if other.skipped.contains(.apiKeys) { keys = other.keys }
        isolation = other.isolation ?? isolation
    }
}

extension JSON {
    /// Whether a text or a name in it has the one character that PostgreSQL cannot store.
    fileprivate var holdsNUL: Bool {
        switch self {
        case .string(let text): text.utf8.contains(0)
        case .array(let elements): elements.contains(where: \.holdsNUL)
        case .object(let members): members.contains { name, value in name.utf8.contains(0) || value.holdsNUL }
        default: false
        }
    }
}

extension SetupInput {
    /// As it is sealed.
    var encoded: SecretString {
        var members: JSONObject = [
            "profile": .object(profile), "preferences": .object(preferences),
            "keys": .object(
                JSONObject(keys.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.reveal())) })),
            "skip": .array(skipped.map { .string($0.rawValue) }),
        ]
        if let isolation { members["isolation"] = .string(isolation) }
        return SecretString(JSON.object(members).text)
    }

    /// Reads what ``encoded`` made; what is not there is empty.
    init(decoding text: SecretString) {
        guard let members = (try? JSON(parsing: text.bytes))?.objectValue else { return }
        profile = members["profile"]?.objectValue ?? [:]
        preferences = members["preferences"]?.objectValue ?? [:]
        for (name, value) in members["keys"]?.objectValue ?? [:] {
            if let key = value.stringValue { keys[name] = SecretString(key) }
        }
        skipped = Set((members["skip"]?.arrayValue ?? []).compactMap { $0.stringValue.flatMap(SetupStep.init) })
        isolation = members["isolation"]?.stringValue
    }
}
