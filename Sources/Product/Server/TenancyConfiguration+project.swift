// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Tenancy

extension TenancyConfiguration {
    /// Takes the values of `[atoll.tenancy.setup]` and `[atoll.tenancy.validation]`.
    mutating func apply(_ settings: ProjectConfiguration.Atoll.Tenancy) {
        setup.maxRuns = settings.setup.maxRuns
        setup.maxWait = settings.setup.maxWait
        setup.maxStream = settings.setup.maxStream
        setup.maxKeys = settings.setup.maxKeys
        setup.vectorSize = settings.setup.vectorSize
        setup.vectorDistance = settings.setup.vectorDistance.rawValue
        validation.isEnabled = settings.validation.enabled
        validation.timeout = settings.validation.timeout
        validation.addresses = settings.validation.addresses
    }
}
