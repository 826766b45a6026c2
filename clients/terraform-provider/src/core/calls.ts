/**
 * One call of terraform's → what the provider says. Takes the fields of a request, gives those of its answer. What goes
 * wrong within a provider is told to the operator as an error of that resource.
 */
import type { Method } from './messages.ts'
import { planChange, replacedBy, withoutWriteOnly } from './plan.ts'
import { ArgumentError, diagnosticMessage, problemsOf } from './problem.ts'
import type { Change, Provider } from './provider.ts'
import { functionMessage, schemaMessage, type Block } from './schema.ts'
import { packValue, unpackValue } from './values.ts'
import type { Fields } from './wire.ts'

export async function call(provider: Provider, method: Method, request: Fields): Promise<Fields> {
  try {
    return await act(provider, method, request)
  } catch (error) {
    if (method === 'CallFunction') return { error: functionError(error) }
    const block = blockOf(provider, method, typeOf(request))
    return { diagnostics: problemsOf(error).map((one) => diagnosticMessage(one, block)) }
  }
}

async function act(provider: Provider, method: Method, request: Fields): Promise<Fields> {
  const type = typeOf(request)
  const block = blockOf(provider, method, type)
  const kept = (value: unknown) =>
    packValue(block === undefined ? value : withoutWriteOnly(block, value))
  switch (method) {
    case 'GetProviderSchema':
      return {
        provider: schemaMessage(provider.provider),
        resourceSchemas: mapValues(provider.resources, schemaMessage),
        dataSourceSchemas: mapValues(provider.dataSources, schemaMessage),
        ephemeralResourceSchemas: mapValues(provider.ephemerals, schemaMessage),
        functions: mapValues(provider.functions ?? {}, functionMessage),
        serverCapabilities: { getProviderSchemaOptional: true },
      }
    case 'GetFunctions':
      return { functions: mapValues(provider.functions ?? {}, functionMessage) }
    case 'CallFunction': {
      const { name, arguments: given } = request
      const called = provider.functions?.[textOf(name)]
      if (called === undefined) throw new Error(`there is no function ${textOf(name)}`)
      const values = Array.isArray(given) ? given.map(unpackValue) : []
      return { result: packValue(await called.call(...values)) }
    }
    case 'ConfigureProvider':
      await provider.configure(unpackValue(request['config']))
      return {}
    case 'UpgradeResourceState': {
      const saved = unpackValue(request['rawState'])
      const version = Number(request['version'] ?? 0)
      const isOld = version < (provider.resources[type]?.version ?? 0)
      return {
        upgradedState: kept(isOld ? upgraded(provider, type, version, saved) : saved),
      }
    }
    case 'ReadResource':
      return { newState: kept(await provider.read(type, unpackValue(request['currentState']))) }
    case 'ImportResourceState': {
      const id = textOf(request['id'])
      if (provider.import === undefined) throw new Error(`a ${type} cannot be imported`)
      const state = await provider.import(type, id)
      if (state === null) throw new Error(`there is no ${type} ${JSON.stringify(id)} to import`)
      return { importedResources: [{ typeName: type, state: kept(state) }] }
    }
    case 'PlanResourceChange': {
      const change = changeOf(type, request, 'proposedNewState')
      const planned =
        provider.plan === undefined
          ? planChange(resourceOf(provider, type), change)
          : await provider.plan(change)
      const replaced = replacedBy(resourceOf(provider, type), change.prior, planned)
      return {
        plannedState: packValue(planned),
        requiresReplace: replaced.map((attributeName) => ({ steps: [{ attributeName }] })),
        ...loose(provider),
      }
    }
    case 'ApplyResourceChange': {
      const state = await provider.apply(changeOf(type, request, 'plannedState'))
      return { newState: kept(state), ...loose(provider) }
    }
    case 'ReadDataSource':
      return { state: packValue(await provider.readData(type, unpackValue(request['config']))) }
    case 'OpenEphemeralResource': {
      const opened = await provider.open(type, unpackValue(request['config']))
      return { result: packValue(opened.result), private: opened.private }
    }
    case 'CloseEphemeralResource': {
      const held = request['private']
      await provider.close?.(type, held instanceof Uint8Array ? held : new Uint8Array())
      return {}
    }
    case 'ValidateResourceConfig':
    case 'ValidateDataResourceConfig':
    case 'ValidateEphemeralResourceConfig': {
      const problems = provider.validate?.(type, unpackValue(request['config'])) ?? []
      return { diagnostics: problems.map((one) => diagnosticMessage(one, block)) }
    }
    case 'ValidateProviderConfig':
    case 'StopProvider':
      return {}
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function typeOf({ typeName }: Fields): string {
  return textOf(typeName)
}

/** Of what a call is about; undefined where that is none of the three. */
function blockOf(provider: Provider, method: Method, type: string): Block | undefined {
  if (method.includes('Data')) return provider.dataSources[type]
  return method.includes('Ephemeral') ? provider.ephemerals[type] : provider.resources[type]
}

function resourceOf(provider: Provider, type: string): Block {
  const block = provider.resources[type]
  if (block === undefined) throw new Error(`there is no resource ${type}`)
  return block
}

function upgraded(provider: Provider, type: string, version: number, saved: unknown): unknown {
  if (provider.upgrade === undefined)
    throw new Error(`a state of ${type} in version ${version} cannot be read any more`)
  return provider.upgrade(type, version, saved)
}

function loose(provider: Provider): Fields {
  return provider.isLoose === true ? { legacyTypeSystem: true } : {}
}

function functionError(error: unknown): Fields {
  const text = error instanceof Error ? error.message : String(error)
  return error instanceof ArgumentError ? { text, functionArgument: error.argument } : { text }
}

function changeOf(type: string, request: Fields, planned: string): Change {
  return {
    type,
    prior: unpackValue(request['priorState']),
    planned: unpackValue(request[planned]),
    config: unpackValue(request['config']),
  }
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, change: (value: A) => B) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
}
