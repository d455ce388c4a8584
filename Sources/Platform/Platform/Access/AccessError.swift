// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import HTTP
import Primitives

/// Why a request got no principal. Each service answers these in its own form; ``response`` is the gateway's.
package enum AccessError: Error, Sendable, Hashable {
    /// Neither header nor query has an API key.
    case missingKey
    /// The API key is none of the project's.
    case invalidKey
    /// The bearer token is not valid.
    case invalidToken(JWTError)
    /// The bearer token is valid and names a role requests cannot have.
    case roleNotAllowed

    /// Fit for the client.
    package var message: String {
        switch self {
        case .missingKey: "No API key found in request"
        case .invalidKey: "Invalid API key"
        case .invalidToken(.expired): "JWT expired"
        case .invalidToken: "Invalid JWT"
        case .roleNotAllowed: "The role of the JWT is not allowed"
        }
    }

    private var hint: String? {
        switch self {
        case .missingKey: "No `apikey` request header or url param was found."
        case .invalidKey: "Double check your project's API keys."
        case .invalidToken, .roleNotAllowed: nil
        }
    }

    /// 401 with `message` and, for keys, `hint`, as the gateway before the services answers.
    package var response: HTTPResponse {
        var body: JSONObject = ["message": .string(message)]
        if let hint { body["hint"] = .string(hint) }
        return .json(.object(body), status: .unauthorized)
    }
}
