// SPDX-License-Identifier: Apache-2.0
internal import Processes
package import Primitives

extension EmbeddedPostgresConfiguration {
    /// The private cluster of a project: finds the installation, the user to run as and the cluster's place.
    ///
    /// - Parameters:
    ///   - projectFolder: absolute; the search for PostgreSQL begins there and at this executable.
    ///   - stateFolder: the project's folder for what Atoll keeps; it exists.
    ///   - installation: a folder with PostgreSQL in it, to use no other.
    ///   - owner: the user to run PostgreSQL as when root starts Atoll; nil for the usual one.
    ///   - settings: `[db.settings]`, name and value.
    /// - Throws: ``EmbeddedPostgresError`` for an installation, user or setting that is missing or cannot be used.
    package static func ofProject(
        folder projectFolder: String, stateFolder: String, port: Int, superuserPassword: SecretString,
        installation: String? = nil, owner: String? = nil, settings: [String: String] = [:]
    ) throws(EmbeddedPostgresError) -> EmbeddedPostgresConfiguration {
        let owner = try ClusterFolder.serverOwner(named: owner)
        let folder = try ClusterFolder.ofProject(stateFolder: stateFolder, owner: owner)
        let executable = FileSystem.readLink("/proc/self/exe") ?? projectFolder
        let found = try PostgresInstallation.find(
            setting: installation, near: [executable, projectFolder], owner: owner, major: folder.clusterMajor)
        return EmbeddedPostgresConfiguration(
            installation: found, folder: folder, superuserPassword: superuserPassword, port: port,
            settings: try ClusterSettings(machine: .current, installation: found, overrides: settings))
    }
}
