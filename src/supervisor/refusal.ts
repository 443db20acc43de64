/** Something about this machine or this state folder that a person has to settle. The message is one clear line. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}
