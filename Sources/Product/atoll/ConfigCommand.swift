// SPDX-License-Identifier: Apache-2.0
internal import Console
internal import Isolation
internal import Platform
internal import Primitives
internal import REST

/// `atoll config`
enum ConfigCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        let folder = try ProjectFolder.find(from: invocation.workdir)
        let loaded = try folder.loadConfiguration(overrides: try ServerFlags.overrides(invocation))
        for warning in loaded.warnings { Output.printError("\(warning)") }
        if !folder.hasConfigurationFile {
            Output.printError("\(folder.path) has no supabase/config.toml; these are the defaults")
        }
        Output.print(OutputFormat(invocation).text(loaded.configuration.masked.objectValue ?? JSONObject()))
        return 0
    }
}

/// `atoll version`
enum VersionCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        let format = OutputFormat(invocation)
        Output.print(
            format == .pretty
                ? "atoll \(CommandLineProgram.version)"
                : format.text(["version": .string(CommandLineProgram.version)]))
        return 0
    }
}

/// `atoll reference`: what the pages of `docs/` that are made from the program should hold.
enum ReferenceCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        let page =
            switch invocation.argument(0) {
            case "cli": Help.markdown
            case "lints": Lint.markdown
            case "messages": Language.catalogue
            case "rest": StandaloneConfiguration.markdown
            default: ConfigurationReference.markdown
            }
        Output.write(page, to: 1)
        return 0
    }
}
