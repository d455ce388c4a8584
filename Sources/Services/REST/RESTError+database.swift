// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension RESTError {
    /// What a failure of the database means to the client.
    ///
    /// - Parameters:
    ///   - isAnonymous: whether the request came without an identity.
    ///   - showsConnectionErrors: whether it says what the client library said of a lost server.
    init(_ error: PostgresError, isAnonymous: Bool, showsConnectionErrors: Bool = false) {
        switch error.code {
        case .server:
            guard let state = error.sqlState else { self = .internalError; return }
            if state == "PGRST" {
                self = Self.raised(message: error.message, detail: error.detail)
                return
            }
            self = .database(
                DatabaseRefusal(
                    sqlState: state, message: error.message, details: error.detail, hint: error.hint,
                    isAnonymous: isAnonymous))
        case .poolTimeout, .poolQueueFull: self = .poolExhausted
        case .connectionFailed, .shutdown:
            self = .connectionFailed(details: showsConnectionErrors ? error.message : nil)
        case .connectionLost: self = .connectionLost(details: showsConnectionErrors ? error.message : nil)
        // A NUL character or the like in a value: nothing PostgreSQL could store.
        case .invalidQuery:
            self = .database(
                DatabaseRefusal(
                    sqlState: "22021", message: "invalid byte sequence for encoding \"UTF8\"", details: nil, hint: nil,
                    isAnonymous: isAnonymous))
        case .queryCancelled, .misuse, .resultTooLarge: self = .internalError
        }
    }

    /// `raise sqlstate 'PGRST'` with message `{"code", "message", "details", "hint"}` and detail `{"status", "headers"}`, both JSON.
    private static func raised(message: String, detail: String?) -> RESTError {
        let messageHint =
            "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'."
        let detailHint =
            "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."
        guard let body = (try? JSON(parsing: message))?.objectValue, let code = body["code"]?.stringValue,
            let text = body["message"]?.stringValue
        else {
            return .invalidRaise(details: "Invalid JSON value for MESSAGE: '\(message)'", hint: messageHint)
        }
        guard let detail else {
            return .invalidRaise(details: "DETAIL is missing in the RAISE statement", hint: detailHint)
        }
        guard let response = (try? JSON(parsing: detail))?.objectValue,
            let status = response["status"]?.intValue, (100...999).contains(status),
            let headers = response["headers"]?.objectValue
        else {
            return .invalidRaise(details: "Invalid JSON value for DETAIL: '\(detail)'", hint: detailHint)
        }
        return .raised(
            RaisedError(
                code: code, message: text, details: body["details"]?.stringValue, hint: body["hint"]?.stringValue,
                status: status, statusText: response["status_text"]?.stringValue,
                headers: headers.compactMap { member in member.value.stringValue.map { (member.name, $0) } }))
    }
}

extension RESTError.DatabaseRefusal {
    /// The status that `raise sqlstate 'PTnnn'` names, whose message is then the reason phrase.
    var chosenStatus: Int? {
        guard sqlState.hasPrefix("PT"), let status = Int(sqlState.dropFirst(2)), (100...999).contains(status) else {
            return nil
        }
        return status
    }

    /// The status of an SQLSTATE, by its whole or by its class (the first two characters).
    var status: Int {
        if sqlState.hasPrefix("PT") { return chosenStatus ?? 500 }
        switch sqlState {
        case "42501": return isAnonymous ? 401 : 403
        // A mistake of the schema's, such as a subquery with several rows, unless it is the client who left out a filter (safeupdate).
        case "21000": return message.hasSuffix("requires a WHERE clause") ? 400 : 500
        case "22023" where message.hasPrefix("role ") && message.hasSuffix(" does not exist"): return 401
        case "23503", "23505": return 409
        case "25006": return 405
        case "42883" where message.hasPrefix("function xmlagg("): return 406
        case "42883", "42P01": return 404
        case "42P17", "53400": return 500
        case "57P01": return 503
        case "P0001": return 400
        default: break
        }
        switch sqlState.prefix(2) {
        case "08", "53": return 503
        case "0L", "0P", "28": return 403
        case "09", "25", "2D", "38", "39", "3B", "40", "54", "55", "57", "58", "F0", "HV", "P0", "XX": return 500
        default: return 400
        }
    }
}
