/** The messages of Terraform's provider protocol 6 that a provider reads and writes: names, numbers and types of their fields. */
import { message, type Field, type FieldType } from './wire.ts'

const one = (number: number, type: FieldType): Field => ({ number, type })
const many = (number: number, type: FieldType): Field => ({ number, type, repeated: true })

const dynamicValue = message({ msgpack: one(1, 'bytes'), json: one(2, 'bytes') })
const step = message({
  attributeName: one(1, 'string'),
  elementKeyString: one(2, 'string'),
  elementKeyInt: one(3, 'int'),
})
const attributePath = message({ steps: many(1, step) })
const diagnostic = message({
  severity: one(1, 'int'),
  summary: one(2, 'string'),
  detail: one(3, 'string'),
  attribute: one(4, attributePath),
})
const diagnostics = (number: number) => many(number, diagnostic)

const attributeFields: Record<string, Field> = {
  name: one(1, 'string'),
  type: one(2, 'bytes'),
  description: one(3, 'string'),
  required: one(4, 'bool'),
  optional: one(5, 'bool'),
  computed: one(6, 'bool'),
  sensitive: one(7, 'bool'),
  writeOnly: one(11, 'bool'),
}
const attribute = message(attributeFields)
attributeFields['nestedType'] = one(
  10,
  message({ attributes: many(1, attribute), nesting: one(3, 'int') }),
)
const blockFields: Record<string, Field> = {
  version: one(1, 'int'),
  attributes: many(2, attribute),
  description: one(4, 'string'),
}
const block = message(blockFields)
blockFields['blockTypes'] = many(
  3,
  message({
    typeName: one(1, 'string'),
    block: one(2, block),
    nesting: one(3, 'int'),
    minItems: one(4, 'int'),
    maxItems: one(5, 'int'),
  }),
)
const schema = message({ version: one(1, 'int'), block: one(2, block) })

const parameter = message({ name: one(1, 'string'), type: one(2, 'bytes') })
const providerFunction = message({
  parameters: many(1, parameter),
  return: one(3, message({ type: one(1, 'bytes') })),
  summary: one(4, 'string'),
})

const typed = (fields: Record<string, Field>) => message({ typeName: one(1, 'string'), ...fields })
const nothing = message({})

/** By method: what terraform asks, what it is told. */
export const METHODS = {
  GetProviderSchema: {
    request: nothing,
    response: message({
      provider: one(1, schema),
      resourceSchemas: one(2, { mapOf: schema }),
      dataSourceSchemas: one(3, { mapOf: schema }),
      diagnostics: diagnostics(4),
      serverCapabilities: one(6, message({ getProviderSchemaOptional: one(2, 'bool') })),
      functions: one(7, { mapOf: providerFunction }),
      ephemeralResourceSchemas: one(8, { mapOf: schema }),
    }),
  },
  GetFunctions: {
    request: nothing,
    response: message({
      functions: one(1, { mapOf: providerFunction }),
      diagnostics: diagnostics(2),
    }),
  },
  CallFunction: {
    request: message({ name: one(1, 'string'), arguments: many(2, dynamicValue) }),
    response: message({
      result: one(1, dynamicValue),
      error: one(2, message({ text: one(1, 'string'), functionArgument: one(2, 'int') })),
    }),
  },
  ValidateProviderConfig: {
    request: message({ config: one(1, dynamicValue) }),
    response: message({ diagnostics: diagnostics(2) }),
  },
  ConfigureProvider: {
    request: message({ terraformVersion: one(1, 'string'), config: one(2, dynamicValue) }),
    response: message({ diagnostics: diagnostics(1) }),
  },
  ValidateResourceConfig: {
    request: typed({ config: one(2, dynamicValue) }),
    response: message({ diagnostics: diagnostics(1) }),
  },
  ValidateDataResourceConfig: {
    request: typed({ config: one(2, dynamicValue) }),
    response: message({ diagnostics: diagnostics(1) }),
  },
  ValidateEphemeralResourceConfig: {
    request: typed({ config: one(2, dynamicValue) }),
    response: message({ diagnostics: diagnostics(1) }),
  },
  UpgradeResourceState: {
    request: typed({
      version: one(2, 'int'),
      rawState: one(3, message({ json: one(1, 'bytes') })),
    }),
    response: message({ upgradedState: one(1, dynamicValue), diagnostics: diagnostics(2) }),
  },
  ReadResource: {
    request: typed({ currentState: one(2, dynamicValue) }),
    response: message({ newState: one(1, dynamicValue), diagnostics: diagnostics(2) }),
  },
  PlanResourceChange: {
    request: typed({
      priorState: one(2, dynamicValue),
      proposedNewState: one(3, dynamicValue),
      config: one(4, dynamicValue),
    }),
    response: message({
      plannedState: one(1, dynamicValue),
      requiresReplace: many(2, attributePath),
      diagnostics: diagnostics(4),
      legacyTypeSystem: one(5, 'bool'),
    }),
  },
  ApplyResourceChange: {
    request: typed({
      priorState: one(2, dynamicValue),
      plannedState: one(3, dynamicValue),
      config: one(4, dynamicValue),
    }),
    response: message({
      newState: one(1, dynamicValue),
      diagnostics: diagnostics(3),
      legacyTypeSystem: one(4, 'bool'),
    }),
  },
  ImportResourceState: {
    request: typed({ id: one(2, 'string') }),
    response: message({
      importedResources: many(1, typed({ state: one(2, dynamicValue) })),
      diagnostics: diagnostics(2),
    }),
  },
  ReadDataSource: {
    request: typed({ config: one(2, dynamicValue) }),
    response: message({ state: one(1, dynamicValue), diagnostics: diagnostics(2) }),
  },
  OpenEphemeralResource: {
    request: typed({ config: one(2, dynamicValue) }),
    response: message({
      diagnostics: diagnostics(1),
      result: one(3, dynamicValue),
      private: one(4, 'bytes'),
    }),
  },
  CloseEphemeralResource: {
    request: typed({ private: one(2, 'bytes') }),
    response: message({ diagnostics: diagnostics(1) }),
  },
  StopProvider: { request: nothing, response: message({ error: one(1, 'string') }) },
} as const

export type Method = keyof typeof METHODS
