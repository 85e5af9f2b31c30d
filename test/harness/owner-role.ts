/** Owns the databases of the tests. It is no superuser: for those, row-level security does not hold. */
export const ownerRole = 'test_owner';
