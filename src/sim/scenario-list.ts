/** All scenarios, by name. */
import type { Scenario } from './scenario.ts'
import { bootstrapDeath } from './scenarios/bootstrap-death.ts'
import { churn } from './scenarios/churn.ts'
import { flashService } from './scenarios/flash-service.ts'
import { hostile } from './scenarios/hostile.ts'
import { joinStorm } from './scenarios/join-storm.ts'
import { massFailure } from './scenarios/mass-failure.ts'
import { regionLoss } from './scenarios/region-loss.ts'
import { broadcast } from './scenarios/service-broadcast.ts'
import { settled } from './scenarios/settled.ts'
import { sleepWake } from './scenarios/sleep-wake.ts'
import { split } from './scenarios/split.ts'
import { week } from './scenarios/week.ts'
import { workday } from './scenarios/workday.ts'

export const SCENARIOS: readonly Scenario[] = [
  joinStorm,
  settled,
  churn,
  massFailure,
  split,
  bootstrapDeath,
  flashService,
  broadcast,
  sleepWake,
  regionLoss,
  week,
  workday,
  hostile,
]

export function scenarioNamed(name: string): Scenario | undefined {
  return SCENARIOS.find(scenario => scenario.name === name)
}
