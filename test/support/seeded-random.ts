/** The chance of `rowmill prove`, for tests. */
export { createSeededRandom } from '../../src/datasets/prove/seeded-random.ts'
