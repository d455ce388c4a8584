// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Platform
internal import Primitives

/// `atoll gen keys`, `atoll gen bearer-jwt`
enum GenerateCommands {
    static func keys(_ invocation: Invocation) throws -> Int32 {
        let names = try StatusValues.names(invocation.all("override-name"))
        let project = try Project.open(workdir: invocation.workdir)
        Output.print(StatusValues(project).keys(OutputFormat(invocation), names: names))
        return 0
    }

    static func bearerJWT(_ invocation: Invocation) throws -> Int32 {
        guard let role = invocation.value("role"), !role.isEmpty else {
            throw UsageError(message: "--role is needed", next: "add --role authenticated, or another database role")
        }
        let project = try Project.open(workdir: invocation.workdir)
        let now = Timestamp.now().unixSeconds
        var claims: JSONObject = [:]
        if let text = invocation.value("payload") {
            guard let payload = (try? JSON(parsing: text))?.objectValue else {
                throw UsageError(
                    message: "--payload is no JSON object", next: "write it like --payload '{\"app_metadata\":{}}'")
            }
            claims = payload
        }
        claims["iss"] = claims["iss"] ?? .string(project.tokenIssuer)
        claims["role"] = .string(role)
        if let subject = invocation.value("sub") { claims["sub"] = .string(subject) }
        claims["iat"] = JSON(now)
        claims["exp"] = JSON(try expiry(invocation, now: now))
        let codec = JWTCodec(keys: try project.tokenKeys())
        Output.print(try codec.sign(claims))
        return 0
    }

    private static func expiry(_ invocation: Invocation, now: Int64) throws -> Int64 {
        if let text = invocation.value("exp") {
            guard !invocation.has("valid-for") else {
                throw UsageError(message: "--exp and --valid-for exclude each other", next: "keep one of them")
            }
            guard let seconds = Int64(text), seconds > now else {
                throw UsageError(
                    message: "--exp is no time to come", next: "write seconds since 1970, such as \(now + 3600)")
            }
            return seconds
        }
        let text = invocation.value("valid-for") ?? "30m"
        guard let duration = parseDuration(text), duration >= .seconds(1) else {
            throw UsageError(message: "--valid-for cannot be \"\(text)\"", next: "write a duration such as 30m or 24h")
        }
        return now + duration.components.seconds
    }
}
