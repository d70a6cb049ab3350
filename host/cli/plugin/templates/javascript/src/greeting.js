// Logic that knows nothing of Reef, so that plain unit tests can run it.

export const greeting = (name, times) => `Hello ${name}, for the ${times}. time`;
