// SPDX-License-Identifier: Apache-2.0
import Postgres
import Primitives
import Testing

@testable import REST

@Suite struct StandaloneConfigurationTests {
    private static let secret = "a secret of more than thirty-two bytes"

    private static func load(
        file: String = "", environment: [String: String] = [:], database: [String: String] = [:]
    ) throws -> StandaloneConfiguration {
        var sources = StandaloneConfiguration.Sources()
        sources.file = try ConfigurationFile(text: file, variable: { environment[$0] })
        sources.environment = environment
        sources.database = database
        return try StandaloneConfiguration(sources) { path in
            guard path == "there" else { throw StandaloneConfigurationError("\(path): no such file") }
            return "\(secret)\n"
        }
    }

    @Test(arguments: [
        "db-pool = 0", "db-pool = 1.5", "db-pool = true", "db-max-rows = -1", #"db-max-rows = "x""#,
        "db-plan-enabled = \"maybe\"",
        #"db-schemas = "a,,b""#, #"db-schemas = "information_schema""#, #"jwt-secret = "@nowhere""#,
        #"jwt-secret = "short""#,
        "jwt-secret-is-base64 = true\njwt-secret = \"no base-64! no base-64! no base-64!\"", "server-port = 65536",
        "server-unix-socket-mode = 578", "admin-server-unix-socket-mode = 1000", "admin-server-port = 3000",
        #"jwt-aud = "a:%zz""#,
        #"openapi-server-proxy-uri = "https://""#, #"openapi-server-proxy-uri = "ftp://a""#,
        #"server-trace-header = "a:b""#,
        "jwt-cache-max-entries = -1", #"log-level = "warning""#,
    ])
    func refusesByName(_ file: String) {
        let key = file.split(separator: "\n").last?.prefix { $0 != " " } ?? ""
        var message = ""
        do { _ = try Self.load(file: file) } catch { message = "\(error)" }
        #expect(message.contains(key) || message.contains("nowhere"), "\(message)")
    }

    @Test func refusesMoreSettingsThanARequestCarries() {
        let file = (0...StandaloneConfiguration.maxApplicationSettings).map { "app.settings.s\($0) = 1" }
        #expect(throws: StandaloneConfigurationError.self) { try Self.load(file: file.joined(separator: "\n")) }
    }

    @Test func theDatabaseGoesBeforeTheEnvironmentAndThatBeforeTheFile() throws {
        let file = "db-max-rows = 1\ndb-pool = 1\napp.settings.a = \"f\"\napp.settings.b = \"f\""
        #expect(try Self.load(file: file).service.maxRows == 1)
        let environment = ["PGRST_DB_MAX_ROWS": "2", "PGRST_DB_POOL": "2", "PGRST_APP_SETTINGS_A": "e"]
        let both = try Self.load(file: file, environment: environment)
        #expect(both.service.maxRows == 2 && both.poolSize == 2)
        #expect(both.service.settings.map(\.value) == ["e", "f"])
        let all = try Self.load(
            file: file, environment: environment, database: ["db_max_rows": "3", "db_pool": "3", "server_port": "3"])
        // The process's own settings are not the database's to say.
        #expect(all.service.maxRows == 3 && all.poolSize == 2 && all.port == 3000)
    }

    @Test func namesOfOldMeanTheSame() throws {
        let configuration = try Self.load(
            file: """
                db-schema = "a" max-rows = 1 pre-request = "b" root-spec = "c" role-claim-key = ".d" db-pool-timeout = 5
                secret-is-base64 = true jwt-secret = "YSBzZWNyZXQgb2YgbW9yZSB0aGFuIHRoaXJ0eS10d28gYnl0ZXM."
                """)
        #expect(configuration.service.schemas == ["a"] && configuration.service.maxRows == 1)
        #expect(configuration.service.preRequest == "b" && configuration.service.rootFunction == "c")
        #expect(configuration.roleClaim == ClaimPath(".d") && configuration.maxConnectionIdleTime == .seconds(5))
        #expect(configuration.isJWTSecretBase64 && configuration.jwtSecret != nil)
    }

    @Test func emptyMeansNotSet() throws {
        let environment = Dictionary(
            uniqueKeysWithValues: StandaloneConfiguration.keys.map { ($0.environmentName, "") })
        var expected = StandaloneConfiguration()
        expected.service.extraSearchPath = []
        #expect(try Self.load(environment: environment).text() == expected.text())
    }

    @Test func whatIsWrittenReadsAsItself() throws {
        let full = try Self.load(
            file: """
                db-schemas = "a, b c" db-anon-role = "x\\"y" jwt-secret = "\(Self.secret)$$" db-tx-end = "rollback"
                server-unix-socket-mode = "700" openapi-mode = "disabled" client-error-verbosity = "minimal" admin-server-port = 1
                app.settings.z = "1" server-cors-allowed-origins = "https://a, https://b" log-level = "debug"
                jwt-role-claim-key = ".a[?(@ == \\"b\\")]" db-hoisted-tx-settings = "Work_Mem" openapi-server-proxy-uri = "https://a:1/b"
                """)
        #expect(try Self.load(file: full.text()).text() == full.text())
        #expect(try Self.load(file: StandaloneConfiguration().text()).text() == StandaloneConfiguration().text())
    }

    @Test func secretsAreMaskedWhereOthersRead() throws {
        let configuration = try Self.load(
            file: "jwt-secret = \"\(Self.secret)\" db-uri = \"postgres://a:pass@b/c\" app.settings.key = \"hidden\"")
        let masked = configuration.text(masksSecrets: true)
        for secret in [Self.secret, "pass@b", "hidden"] { #expect(!masked.contains(secret)) }
        #expect("\(configuration)".contains(Self.secret) == false)
    }

    @Test func valuesOfFilesLoseTheirLineEnd() throws {
        #expect(try Self.load(file: #"jwt-secret = "@there""#).jwtSecret?.text.reveal() == Self.secret)
    }

    @Test func saysWhatHasNoEffect() throws {
        var sources = StandaloneConfiguration.Sources()
        sources.file = try ConfigurationFile(
            text: "db-schmas = 1 raw-media-types = 1 max-rows = 1", variable: { _ in nil })
        sources.environment = ["PGRST_DB_URL": "", "PGRST_APP_SETTINGS_X": "", "PATH": "", "PGRST_DB_URI": ""]
        #expect(
            sources.warnings == [
                "db-schmas is no setting and has no effect; did you mean db-schemas?",
                "raw-media-types has no effect: media types are made by handlers in the database",
                "PGRST_DB_URL is no setting and has no effect; did you mean db-uri?",
            ])
    }

    @Test(arguments: [(1, 1), (1, 4), (2, 1), (3, 1), (4, 1), (10, 2), (10, 1), (100, 4)])
    func thePoolHoldsAllConnections(_ size: Int, _ loops: Int) throws {
        var configuration = StandaloneConfiguration()
        configuration.poolSize = size
        let database = try configuration.database(loops: loops, version: "0")
        #expect(database.connectionsPerLoop >= 1 && database.lanesPerLoop <= 2)
        #expect(database.connectionsPerLoop + database.lanesPerLoop == max(1, size / loops))
    }

    @Test func everyKeyIsExplained() {
        let names = StandaloneConfiguration.keys.map(\.name)
        #expect(Set(names) == Set(StandaloneConfiguration.summaries.keys))
        #expect(Set(names).count == names.count)
        #expect(
            StandaloneConfiguration.keys.filter { $0.isInDatabase && !$0.isReloadable }.map(\.name) == [
                "db-prepared-statements"
            ])
    }
}
